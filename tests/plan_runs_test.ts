// What a command plans: controls that a task's experts make different from each other, and steps from where they were chosen.
import { assertEquals } from "@std/assert";
import { readCommand } from "../cli/command.ts";
import { outlineRuns, planRuns } from "../cli/plan_runs.ts";
import { experimentsLine } from "../cli/experiment_options.ts";
import { splitWords } from "../cli/options.ts";

function commandOf(...words: string[]) {
  return readCommand(
    splitWords(["compare", "--routers", "switch", "--seeds", "1", ...words], experimentsLine),
    { routers: [], experts: [], tasks: [] },
    null,
  );
}

async function controlsOf(...words: string[]): Promise<(string | null)[]> {
  const command = commandOf(...words);
  const { plans } = await planRuns(command, outlineRuns(command));
  return plans.map(({ config }) => config.control).filter((control) => control !== null);
}

Deno.test("linear experts have no dense model of equal parameters, and are told from those that have", async () => {
  const dense = ["dense, equal FLOPs", "dense, equal parameters"];
  const all = ["no experts", "random routing", ...dense, "best known routing"];
  const recall = ["--task", "recall", "--set", "task.facts=64"];
  assertEquals(await controlsOf(...recall), all);
  const linear = all.filter((control) => control !== "dense, equal parameters");
  assertEquals(await controlsOf(...recall, "--experts", "linear"), linear);
  // Without experts there is nothing left to train.
  assertEquals(await controlsOf("--task", "regression"), linear.slice(1));
  // One expert is as wide as all together: both dense controls have its parameters and FLOPs, and nothing is missing.
  assertEquals(await controlsOf(...recall, "--set", "model.experts=1"), all);
});

Deno.test("an experiment's own steps of a task give way to a size, to --steps, and where a task is named", () => {
  const stepsOf = (...words: string[]) =>
    outlineRuns(commandOf(...words)).map(({ task: { label }, base }) => [label, base.train.steps]);
  assertEquals(stepsOf(), [
    ["recall", 600],
    ["regimes", 800],
    ["regimes, skewed", 800],
    ["regimes, noisy", 800],
    ["languages", 60],
  ]);
  assertEquals(stepsOf("--task", "languages"), [["languages", 200]]);
  assertEquals(stepsOf("--size", "base").at(-1), ["languages", 600]);
  assertEquals(stepsOf("--steps", "9").at(-1), ["languages", 9]);
});
