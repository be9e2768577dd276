// What experts are worth on a task, in a sentence; or why that is not known, or too little to rank routers by.
import { amount, list } from "./numbers.ts";
import type { Estimate } from "./statistics.ts";
import type { Judging } from "./verdicts.ts";
import { leastWorth, type Scatter } from "./worth.ts";

/** `On regimes, ...`; without a task, a sentence that does not open with a router's name gets a capital. */
export function onTask({ comparison: { task, all } }: Judging, sentence: string): string {
  if (task) return `On ${task.name}, ${sentence}`;
  if (all.some(({ name }) => sentence.startsWith(name))) return sentence;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

const nats = (estimate: Estimate): string => amount(estimate.mean, estimate, "nats");
const scattered = (scatter: Scatter): string =>
  `seeds move a difference between two routers by ${amount(scatter.value, scatter, "nats")}`;

function without({ worth: { missing } }: Judging, leftOut: boolean): string {
  const controls = list(missing.map((each) => `“${each}”`));
  return `this report cannot say what routing is worth: it lacks the control${
    missing.length > 1 ? "s" : ""
  } ${controls}${leftOut ? " (left out by --no-controls)" : ""}. ` +
    "Differences in loss may have other causes than routing, so nothing is ranked by loss.";
}

/** @param controlsLeftOut Whether the user asked for a comparison without controls. */
export function worthSentence(judging: Judging, controlsLeftOut: boolean): string {
  const { best, experts, routing, scatter, why } = judging.worth;
  if (why === "controls") return onTask(judging, without(judging, controlsLeftOut));
  if (why === "seeds") {
    return onTask(
      judging,
      "routers cannot be told apart: that takes two seeds that routers and controls finished.",
    );
  }
  const instead = best!.control === "best known routing"
    ? ""
    : " (beside a dense model of equal parameters, because no best routing is known)";
  if (why === null) {
    return onTask(
      judging,
      `experts are worth ${nats(experts!)} and routing decides ${nats(routing!)}${instead}; ${
        scattered(scatter!)
      }.`,
    );
  }
  const reason = why === "routing"
    ? `${nats(experts!)}${instead}, but routing decides ${nats(routing!)}, which may be nothing`
    : `${nats(experts!)}${instead}, ${
      experts!.interval!.low > 0 ? `less than ${leastWorth} times the seeds' scatter` : "which may be nothing"
    } (${scattered(scatter!)})`;
  return onTask(
    judging,
    `this setting cannot tell routers apart: experts are worth ${reason}. So nothing about routers is ranked.`,
  );
}
