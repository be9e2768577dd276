// A report over several tasks: its order, its chart, one set of tokens in curve and text, records of older versions, and
// what is recorded beside losses.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseHTML } from "linkedom";
import { tableCsv } from "../report/csv.ts";
import { recordTable } from "../report/record_table.ts";
import { renderReport } from "../report/report.ts";
import { summaryTable } from "../report/table.ts";
import { configOf } from "../training/config.ts";
import type { RunRecord } from "../training/record.ts";
import { parseRecord, recordRows, recordText } from "../training/record_text.ts";
import { controls, type MadeUp, oldRecord, recordOf, routers, runsOf } from "./made_up_runs.ts";

const experiment = {
  name: "compare",
  about: "How well does each router route?",
  command: "deno task experiments",
  date: "2026-11-28",
};

interface Found {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(text: string): Iterable<Found>;
}

function select(html: string, selectors: string): Found[] {
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(text: string): Iterable<Found> };
  };
  return [...document.querySelectorAll(selectors)];
}

/** Seven runs a task: two routers and the controls. */
function on(task: string, made: readonly MadeUp[] = [routers.switch, routers.gshard]): RunRecord[] {
  return runsOf(2, [...made, ...controls], { steps: 24, task }).runs;
}

Deno.test("a report opens with worth, then the chart, then verdicts, then each task", () => {
  const html = renderReport(experiment, [...on("recall"), ...on("regimes")], []);
  const order = [
    'class="claims worth"',
    'class="multiples"',
    'class="claims verdicts"',
    'id="recall-table"',
    'id="regimes-table"',
  ]
    .map((text) => html.indexOf(text));
  assert(order.every((place) => place > 0), order.join());
  assertEquals(order, order.toSorted((a, b) => a - b));
  assertEquals(select(html, ".multiples .panel .name").map(({ textContent }) => textContent), [
    "recall",
    "regimes",
  ]);
  const ids = select(html, "[id]").map((each) => each.getAttribute("id"));
  assertEquals(new Set(ids).size, ids.length, "two places share an id");
  for (const link of select(html, "nav a")) assert(ids.includes(link.getAttribute("href")!.slice(1)));
  assertEquals(select(html, "nav .part").map(({ textContent }) => textContent), ["recall", "regimes"]);
  assert(!/NaN|undefined|Infinity|\[object/.test(html), "the page shows a value that does not exist");
  const text = summaryTable([...on("recall"), ...on("regimes")], []);
  assertStringIncludes(text, "On recall, experts are worth ");
  assertStringIncludes(text, "\nregimes\n");
});

Deno.test("every number of the first screen has an interval", () => {
  const runs = [
    ...on("recall", Object.values(routers)),
    ...on("regimes", [routers.switch, { ...routers.hash, capacity: 0.8 }]),
  ];
  const html = renderReport(experiment, runs, []);
  const sentences = select(html, ".claims.worth li, .claims.verdicts li").map(({ textContent }) =>
    textContent
  );
  for (const sentence of sentences) {
    const bare = sentence.replaceAll(/[-−]?[\d.]+(?: nats| times)? \[[^\]]+\]/g, "");
    assert(!/\d\.\d/.test(bare), sentence);
  }
  assert(sentences.some((sentence) => /\d \[/.test(sentence) || /nats \[/.test(sentence)));
  const titles = select(html, ".multiples svg title").map(({ textContent }) => textContent);
  assertEquals(titles.length, (3 + 3) + (2 + 3), "routers, and three controls that are not 0 or 1");
  for (const title of titles) assert(/: [−\d.]+ \[[−\d.]+, [−\d.]+\]$/.test(title), title);
});

Deno.test("the chart shows controls as such, names what 1 stands for, and says where nothing can be told", () => {
  const dense = controls.filter(({ control }) => control !== "best known routing");
  const runs = [
    ...on("recall"),
    ...runsOf(2, [routers.switch, routers.gshard, ...dense], { steps: 24, task: "open" }).runs,
    ...runsOf(2, [
      routers.switch,
      routers.gshard,
      ...controls.map((each) => ({ ...each, offset: each.offset / 1000 })),
    ], {
      steps: 24,
      task: "flat",
    }).runs,
  ];
  const html = renderReport(experiment, runs, []);
  const [recall, open, flat] = select(html, ".multiples .panel").map(({ textContent }) => textContent);
  assertStringIncludes(recall, "best known");
  assert(!open.includes("best known") && open.includes("dense, = params"), open);
  assertStringIncludes(flat, "Routers cannot be told apart here.");
  assertStringIncludes(
    select(html, ".claims.worth").map(({ textContent }) => textContent).join(),
    "(beside a dense model of equal parameters, because no best routing is known)",
  );
  assert(
    !select(html, ".claims.verdicts li").some(({ textContent }) =>
      /On flat, .*(better|worse)/.test(textContent)
    ),
  );
});

Deno.test("scores far off are arrows, and names that look alike when cut keep a row each", () => {
  const far = { ...routers.switch, router: "far", offset: 9 };
  const alike = ["a", "b"].map((letter) => ({ ...routers.switch, router: `capacity-of-${letter}-thousand` }));
  const html = renderReport(experiment, on("recall", [routers.switch, far, ...alike]), []);
  assertEquals(select(html, ".multiples svg title").length, 4 + 3);
  assertEquals(
    select(html, ".multiples svg text").filter(({ textContent }) => textContent.startsWith("◂")).length,
    1,
  );
  assertEquals(
    select(html, ".multiples svg text").filter(({ textContent }) => textContent === "capacity-o…housand")
      .length,
    2,
  );
});

Deno.test("the validation curve covers the tokens of the final loss, from step 0 to the end", () => {
  const runs = on("recall");
  const html = renderReport(experiment, runs, []);
  assertStringIncludes(html, "Its points cover the tokens of the final loss.");
  const old = renderReport(experiment, runs.map(oldRecord), []);
  assertStringIncludes(old, "Validation loss on some of the tokens");
  assertStringIncludes(old, "Its points cover fewer tokens than the final loss, so the two need not agree.");
  const rules = (page: string) => page.split("unigram 6.70").length - 1;
  assertEquals(
    [rules(html), rules(old)],
    [2, 1],
    "the line that a curve of other tokens must not be read against",
  );
  // A record keeps the evaluation before the first step when it is written and read.
  const back = parseRecord(recordText(recordRows(runs[0])), "recall");
  assertEquals(back.evaluations.map(({ step }) => step), runs[0].evaluations.map(({ step }) => step));
  assertEquals([back.evaluations[0].step, back.evaluations.at(-1)!.loss], [0, back.end!.loss]);
});

Deno.test("older records make a whole report that ranks nothing", () => {
  const runs = runsOf(2, Object.values(routers), { steps: 24 }).runs.map(oldRecord);
  const html = renderReport(experiment, runs, []);
  assert(!/NaN|undefined|Infinity|\[object/.test(html), "the page shows a value that does not exist");
  assertEquals(select(html, ".multiples").length, 0);
  assertEquals(select(html, ".claims.verdicts li").length, 0);
  assertStringIncludes(select(html, ".claims.worth")[0].textContent, "it lacks the controls “no experts”");
  assertStringIncludes(select(html, "#table ~ .scroll tbody")[0].textContent, "−0.04");
  // Old and new stand beside each other: they are two tasks.
  assertEquals(select(renderReport(experiment, [...runs, ...on("recall")], []), "nav .part").length, 2);
});

Deno.test("importance weights, residual shares, causality as tested and scalars are shown, and warned of", () => {
  const made = { ...routers.gshard, router: "skip" };
  const more = (run: RunRecord): RunRecord => ({
    ...run,
    steps: run.steps.map((row) => ({
      ...row,
      scalars: { temperature: 1 + row.step },
      layers: row.layers.map((load) => ({ ...load, importance: { largest: 40, effectiveShare: 0.12 } })),
    })),
    end: {
      ...run.end!,
      layers: run.steps[0].layers,
      residualShare: [0.25, 0.35],
      causal: { tested: true, holds: run.header.seed > 0 },
      trainingAssignmentLoss: 4.5,
    },
  });
  const runs = [
    ...on("recall"),
    ...[0, 1].map((seed) => more(recordOf(made, seed, { steps: 24, task: "recall" }))),
  ];
  const html = renderReport(experiment, runs, []);
  const verdicts = select(html, ".claims.verdicts li").map(({ textContent }) => textContent);
  assert(
    verdicts.includes(
      "On recall, the importance weights of skip are uneven: their effective share is 0.120 [0.120, 0.120] of that of equal weights, and the largest is 40.000 [40.000, 40.000]. Its gradient rests on few tokens.",
    ),
    verdicts.join("\n"),
  );
  assert(select(html, ".claims.warnings")[0].textContent.startsWith("skip is not causal"));
  const row = select(html, "#trained ~ .scroll tbody tr").map(({ textContent }) => textContent).find((text) =>
    text.startsWith("skip")
  )!;
  assertStringIncludes(row, "no, in 1 of 2");
  assertStringIncludes(row, "0.300 ± 0.000");
  assertStringIncludes(row, "4.500 ± 0.000");
  assertStringIncludes(html, "temperature over steps, a line a router");
  const [titles, ...lines] = tableCsv(recordTable(runs.slice(-1))).trim().split("\n").map((line) =>
    line.split(",")
  );
  const first = Object.fromEntries(titles.map((title, at) => [title, lines[0][at]]));
  assertEquals(
    [
      first.task,
      first.control,
      first.largest_importance,
      first.effective_importance_share,
      first.scalar_temperature,
    ],
    ["recall", "", "40", "0.12", "1"],
  );
});

Deno.test("a run's whole config is its setup, seeds aside; two of one control are refused", () => {
  const seeded = (run: RunRecord, width: number): RunRecord => ({
    ...run,
    header: {
      ...run.header,
      config: configOf({ "model.width": width, "train.learningRate": 0.01, seed: run.header.seed }),
    },
  });
  const runs = on("recall").map((run) => seeded(run, 64));
  const text = select(renderReport(experiment, runs, []), "#setup ~ *").map(({ textContent }) => textContent)
    .join();
  assertStringIncludes(text, "model.width");
  assertStringIncludes(text, "train.learningRate");
  assertThrows(
    () => renderReport(experiment, [seeded(runs[0], 32), ...runs.slice(1)], []),
    RangeError,
    "differ by more than their seed",
  );
  const twice = recordOf({ ...controls[0], router: "nothing" }, 0, { steps: 24, task: "recall" });
  assertThrows(
    () => renderReport(experiment, [...runs, twice], []),
    RangeError,
    'no experts and nothing are both "no experts"',
  );
});
