// What a report says of routers: worth, scores and verdicts by hand, sentences for 2 and 18 routers, and a null test in
// which a router is compared with itself.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { claims, judgings, type Reading } from "../report/claims.ts";
import { comparisons } from "../report/comparison.ts";
import { wilson } from "../report/counts.ts";
import type { Judgement } from "../report/judgement.ts";
import { scoreOf, scores } from "../report/score.ts";
import { scoreRows } from "../report/score_chart.ts";
import { verdictOf } from "../report/verdicts.ts";
import { scatterOf, worthOf } from "../report/worth.ts";
import { random } from "../tensor/random.ts";
import type { Control, RunRecord } from "../training/record.ts";
import { oldRecord, runWith } from "./made_up_runs.ts";

const controlLosses: Readonly<Partial<Record<Control, number>>> = {
  "no experts": 2.06,
  "random routing": 1.56,
  "dense, equal FLOPs": 1.32,
  "dense, equal parameters": 0.53,
  "best known routing": 0.26,
};

/** Runs of routers, by their losses in seeds 0, 1, ..., beside controls without scatter. */
function compared(
  losses: Readonly<Record<string, readonly number[]>>,
  { task = "", controls = controlLosses } = {},
): RunRecord[] {
  const seeds = Math.max(...Object.values(losses).map(({ length }) => length));
  return [
    ...Object.entries(losses).flatMap(([router, each]) =>
      each.map((loss, seed) => runWith(router, seed, loss, { task }))
    ),
    ...Object.entries(controls).flatMap(([control, loss]) =>
      Array.from(
        { length: seeds },
        (_, seed) => runWith(control, seed, loss, { control: control as Control, task }),
      )
    ),
  ];
}

function said(runs: readonly RunRecord[], reading: Reading = {}) {
  return claims(judgings(runs, [], reading), reading);
}

const lower: Judgement = { metric: "loss", direction: "lower", margin: null, claim: "Losses differ." };

Deno.test("worth, what routing decides and scatter come out as by hand", () => {
  const runs = compared({ switch: [0.40, 0.42, 0.44], gshard: [0.30, 0.31, 0.35], hash: [1.60, 1.64, 1.66] });
  const [comparison] = comparisons(runs, []);
  const worth = worthOf(comparison);
  assertAlmostEquals(worth.experts!.mean, 1.8, 1e-12);
  assertAlmostEquals(worth.routing!.mean, 1.3, 1e-12);
  // Paired differences: gshard - switch -0.10, -0.11, -0.09 (variance 1e-4); hash - switch 1.20, 1.22, 1.22 (4e-4 / 3);
  // hash - gshard 1.30, 1.33, 1.31 (7e-4 / 3). Mean variance 4.667e-4 / 3.
  assertAlmostEquals(worth.scatter!.value, Math.sqrt((1e-4 + 4e-4 / 3 + 7e-4 / 3) / 3), 1e-12);
  assertEquals([worth.canTell, worth.why, worth.best!.name], [true, null, "best known routing"]);
});

Deno.test("routers are told apart where experts are worth ten times the scatter, and not below", () => {
  // Differences of the two routers: -d and d, so their standard deviation is d √2.
  const at = (scatter: number, controls = controlLosses) => {
    const d = scatter / Math.SQRT2;
    return worthOf(
      comparisons(compared({ switch: [0.4, 0.4], gshard: [0.4 - d, 0.4 + d] }, { controls }), [])[0],
    );
  };
  assertAlmostEquals(at(0.1).scatter!.value, 0.1, 1e-12);
  assertEquals([at(0.179).canTell, at(0.181).canTell, at(0.181).why], [true, false, "worth"]);
  const few: Partial<Record<Control, number>> = { ...controlLosses };
  delete few["best known routing"];
  const dense = at(0.15, few);
  assertEquals([dense.best!.name, dense.canTell], ["dense, equal parameters", true], "worth 1.53");
  delete few["dense, equal parameters"];
  assertEquals([at(0.1, few).why, at(0.1, few).missing], [
    "controls",
    ["dense, equal parameters", "best known routing"],
  ]);
  const one = worthOf(comparisons(compared({ switch: [0.4], gshard: [0.5] }), [])[0]);
  assertEquals([one.canTell, one.why], [false, "seeds"]);
  assertEquals(scatterOf([]), null);
});

Deno.test("where random routing does as well as the best, routers are not told apart", () => {
  const runs = compared({ switch: [0.4, 0.41], gshard: [0.4, 0.42] }).map((run) =>
    run.header.control === "random routing"
      ? { ...run, end: { ...run.end!, loss: 0.27 + 0.02 * run.header.seed } }
      : run
  );
  assertEquals(said(runs).verdicts, []);
  assert(
    said(runs).worth[0].includes("but routing decides 0.02 nats [−0.11, 0.15], which may be nothing."),
    said(runs).worth[0],
  );
});

Deno.test("one baseline holds for all tasks, also where it did not finish", () => {
  const whole = compared({ switch: [0.4, 0.41], gshard: [0.3, 0.31] }, { task: "recall" });
  const without = compared({ gshard: [0.3, 0.31], hash: [0.5, 0.51] }, { task: "regimes" });
  const { verdicts } = said([...whole, ...without]);
  assert(verdicts[0].startsWith("On recall, gshard is better than switch"));
  assert(verdicts.includes("On regimes, switch has no finished run, so no router is compared with it."));
});

Deno.test("a score is 0 at random routing, 1 at the best, and paired by seed", () => {
  const runs = compared({
    switch: [0.40, 0.42, 0.44],
    random2: [1.56, 1.56, 1.56],
    best2: [0.26, 0.26, 0.26],
  });
  const [comparison] = comparisons(runs, []);
  const worth = worthOf(comparison);
  const by = new Map(scores(comparison, worth).map(({ series, score }) => [series.name, score]));
  assertAlmostEquals(by.get("switch")!.value, (1.56 - 0.42) / 1.3, 1e-12);
  assertAlmostEquals(by.get("random2")!.value, 0, 1e-12);
  assertAlmostEquals(by.get("best2")!.value, 1, 1e-12);
  // The denominator has no scatter: t(0.975, 2) = 4.302653, s = 0.02.
  assertAlmostEquals(by.get("switch")!.interval!.high, (1.14 + 4.302653 * 0.02 / Math.sqrt(3)) / 1.3, 1e-6);
  assertEquals([...by.keys()].slice(3), ["no experts", "dense, equal FLOPs", "dense, equal parameters"]);
  assertEquals(scoreOf(comparison.routers[0], undefined, worth.best), null);
});

Deno.test("verdicts follow direction, margin and widening", () => {
  const drop = [-0.036, -0.046, -0.038];
  const one = (differences: readonly number[], judgement: Partial<Judgement>, count = 1) =>
    verdictOf(differences, { ...lower, ...judgement }, count)!.verdict;
  assertEquals(one(drop, {}), "better");
  assertEquals(one(drop, { direction: "higher" }), "worse");
  assertEquals(one(drop.map((each) => -each), {}), "worse");
  // s = 0.0052915; t(1 - 0.025 / 100, 2) = 44.70 gives a half-width of 0.137.
  assertEquals(one(drop, {}, 100), "no difference shown");
  assertEquals(one([-0.01, 0.14, 0.08], {}), "no difference shown");
  // TOST at 90%: 0.040 + 2.919986 x 0.0052915 / √3 = 0.0489.
  assertEquals(one(drop, { margin: 0.05 }), "as good");
  assertEquals(one(drop, { margin: 0.0488 }), "better");
  assertEquals(one(drop, { margin: 0.05 }, 2), "better", "equality is widened too: 0.0531");
  assertEquals(verdictOf([0.1], lower), null);
});

Deno.test("mine, named before switch and better, is better than switch; --baseline turns it around", () => {
  const runs = compared({ mine: [0.30, 0.31, 0.33], switch: [0.40, 0.42, 0.43] });
  assertEquals(said(runs).verdicts[0], "mine is better than switch by 0.103 nats [0.089, 0.118].");
  assertEquals(
    said(runs, { baseline: "mine" }).verdicts[0],
    "switch is worse than mine by 0.103 nats [0.089, 0.118].",
  );
  assertThrows(
    () => said(runs, { baseline: "other" }),
    RangeError,
    'Cannot compare with "other": the routers here are mine and switch',
  );
});

Deno.test("with all routers the baseline is switch, wherever it stands", () => {
  const { verdicts } = said(compared({ base: [0.5, 0.51], hash: [0.7, 0.71], switch: [0.4, 0.41] }));
  assertEquals(
    verdicts[0],
    "2 routers are worse than switch: hash by 0.300 nats [0.300, 0.300] and base by 0.100 nats [0.100, 0.100].",
  );
  const without = said(compared({ base: [0.5, 0.51], hash: [0.7, 0.71] })).verdicts;
  assertEquals(without[0], "hash is worse than base by 0.200 nats [0.200, 0.200].");
});

Deno.test("eighteen routers make one sentence a verdict, best and worst first, on every task", () => {
  const losses = (shift: number) =>
    Object.fromEntries([
      ["switch", [0.4, 0.42, 0.43]],
      ...Array.from({ length: 8 }, (_, at) => [
        `good-${at}`,
        [0.4, 0.42, 0.43].map((each) => each - (at + 1) / 50 - shift),
      ]),
      ...Array.from({ length: 7 }, (_, at) => [
        `bad-${at}`,
        [0.4, 0.42, 0.43].map((each) => each + (at + 1) / 50),
      ]),
      ["even-0", [0.43, 0.42, 0.4]],
      ["even-1", [0.41, 0.40, 0.44]],
    ]);
  const runs = [...compared(losses(0), { task: "recall" }), ...compared(losses(0.001), { task: "regimes" })];
  const { worth, verdicts } = said(runs);
  assertEquals(worth.length, 2);
  assertEquals(verdicts.length, 2 * 4 + 1, verdicts.join("\n"));
  assert(
    verdicts[0].startsWith("On recall, 8 routers are better than switch: good-7 by 0.160 nats"),
    verdicts[0],
  );
  assert(
    verdicts[1].startsWith("On recall, 7 routers are worse than switch: bad-6 by 0.140 nats"),
    verdicts[1],
  );
  assertEquals(verdicts[2], "On recall, no difference to switch is shown for even-0 and even-1.");
  assertEquals(verdicts[3], "On recall, all routers spend equal FLOPs per token, measured (within 5%).");
  assert(
    verdicts[4].startsWith("On regimes, 8 routers are better than switch: good-7 by 0.161 nats"),
    verdicts[4],
  );
  assertStringIncludes(verdicts[8], "widened for all 34 comparisons");
});

Deno.test("where experts are worth too little, nothing is ranked and no score is drawn", () => {
  const controls = {
    ...controlLosses,
    "no experts": 4.98,
    "random routing": 4.975,
    "best known routing": 4.97,
  };
  const runs = compared({ switch: [4.97, 4.98, 4.96], gshard: [4.93, 4.95, 4.92] }, {
    task: "language",
    controls,
  });
  const { worth, verdicts } = said(runs);
  assertEquals(worth, [
    "On language, this setting cannot tell routers apart: experts are worth 0.010 nats [0.010, 0.010], less than 10 times the seeds' scatter (seeds move a difference between two routers by 0.006 nats [0.003, 0.036]). So nothing about routers is ranked.",
  ]);
  assertEquals(verdicts, []);
  const [judging] = judgings(runs, [], {});
  assertEquals(scoreRows(judging), []);
});

Deno.test("records without controls say which are missing and rank nothing by loss", () => {
  const runs = compared({ switch: [0.4, 0.42], gshard: [0.2, 0.21] }, { controls: {} }).map(oldRecord);
  const { worth, verdicts } = said(runs);
  assertEquals(worth, [
    "This report cannot say what routing is worth: it lacks the controls “no experts”, “random routing”, “dense, equal FLOPs”, “dense, equal parameters” and “best known routing”. Differences in loss may have other causes than routing, so nothing is ranked by loss.",
  ]);
  assertEquals(verdicts, []);
  assertStringIncludes(said(runs, { controlsLeftOut: true }).worth[0], "(left out by --no-controls)");
  // A question that is not about routing needs no controls.
  const dropped = said(runs, { judgement: { ...lower, metric: "droppedShare", margin: 0.01 } }).verdicts;
  assertStringIncludes(dropped[0], "gshard is as good as switch");
});

Deno.test("equality is only said with a margin that is small against what experts are worth", () => {
  const runs = compared({ switch: [0.4, 0.42, 0.44], gshard: [0.401, 0.42, 0.439] });
  const said1 = said(runs, { judgement: { ...lower, margin: 0.05 } }).verdicts;
  assertEquals(
    said1[0],
    "gshard is as good as switch: the difference lies within the margin of 0.05 nats (0.0000 nats [−0.0025, 0.0025]).",
  );
  const wide = said(runs, { judgement: { ...lower, margin: 0.5 } }).verdicts;
  assertEquals(wide[0], "No difference to switch is shown for gshard.");
  assert(
    wide.includes(
      "The margin is more than a tenth of what experts are worth, so no router is called “as good”.",
    ),
  );
});

Deno.test("a router compared with itself is called better or worse 5 times in 100, and hardly ever after widening", () => {
  const seeds = 5;
  const comparisonsMade = 200;
  // Losses scatter by 0.1 from seed to seed, the same for both, and by 0.03 from run to run.
  const draw = (name: string, reports: number, routers: number) => {
    const normal = random(0).split(name).normal(reports * seeds * (routers + 1));
    return Array.from(
      { length: reports },
      (_, report) =>
        Array.from({ length: routers }, (_, router) =>
          Array.from({ length: seeds }, (_, seed) => {
            const place = (report * seeds + seed) * (routers + 1) + router;
            const shared = normal[(report * seeds + seed) * (routers + 1) + routers];
            return 0.5 + 0.1 * shared + 0.03 * normal[place];
          })),
    );
  };
  const falseVerdicts = (routers: readonly (readonly number[])[]): number => {
    const losses = Object.fromEntries(
      routers.map((each, at) => [at === 0 ? "switch" : `switch-${at}`, each]),
    );
    const { verdicts } = said(compared(losses));
    return verdicts.filter((sentence) => /(is|are) (better|worse) than switch/.test(sentence)).length;
  };
  const alone = draw("alone", comparisonsMade, 2).reduce((sum, routers) => sum + falseVerdicts(routers), 0);
  const bounds = wilson(alone, comparisonsMade, 0.999);
  assert(alone > 0 && bounds.low <= 0.05 && bounds.high >= 0.05, `${alone} of ${comparisonsMade} at 95%`);
  // Ten reports of 20 routers against one baseline make 200 comparisons: at most 5% of reports may hold a false verdict.
  const reports = draw("widened", 10, 21).filter((routers) => falseVerdicts(routers) > 0).length;
  assert(wilson(reports, 10, 0.999).low <= 0.05, `${reports} of 10 reports hold a false verdict`);
  // And many more, on the rule alone.
  const families = draw("families", 2000, 21).filter(([first, ...others]) =>
    others.some((other) => {
      const differences = other.map((loss, seed) => loss - first[seed]);
      return verdictOf(differences, lower, 20)!.verdict !== "no difference shown";
    })
  ).length;
  assert(wilson(families, 2000, 0.999).low <= 0.05, `${families} of 2000 families hold a false verdict`);
  const singles =
    draw("singles", 4000, 2).filter(([first, other]) =>
      verdictOf(other.map((loss, seed) => loss - first[seed]), lower)!.verdict !== "no difference shown"
    ).length;
  const share = wilson(singles, 4000, 0.9999);
  assert(share.low <= 0.05 && share.high >= 0.05, `${singles} of 4000 at 95%`);
});
