// What is made of records after the runs: reports rebuilt and merged, tables, a page of all results, and a report that is
// there while runs go on.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { servePage } from "../cli/serve.ts";
import { writeIndex } from "../cli/runs_index.ts";
import { readResults, resultsIn } from "../cli/read_results.ts";
import { writeReport } from "../cli/report_files.ts";
import { resultsWriter } from "../cli/results.ts";
import { between } from "../report/between.ts";
import { merged } from "../report/merge.ts";
import { renderReport } from "../report/report.ts";
import { summaryData } from "../report/summary_data.ts";
import { summaryTable } from "../report/table.ts";
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { parseRecords, recordRows, recordText } from "../training/record_text.ts";
import { controls, type MadeUp, routers, runsOf } from "./made_up_runs.ts";
import { startExperiments } from "./experiments_command.ts";
import { inOwnFolder } from "./own_folder.ts";
import { runTask } from "./task_command.ts";

const task = (name: "report" | "compare", ...words: string[]) => runTask(name, words);

const facts = {
  name: "compare",
  about: "Which router?",
  command: "deno task experiments",
  date: "2025-11-22",
  goOn: "deno task experiments --resume",
  failed: [],
};

/** Writes runs as a command leaves them; those in `unfinished` stop before their end, with half a line. */
async function leave(
  folder: string,
  { runs, timings }: { runs: readonly RunRecord[]; timings: readonly TimingRecord[] },
  unfinished: readonly string[] = [],
): Promise<void> {
  await Deno.mkdir(`${folder}/runs`, { recursive: true });
  for (const run of runs) {
    const name = run.header.run;
    const stopped = unfinished.includes(name);
    const text = recordText(recordRows(stopped ? { ...run, end: null } : run));
    await Deno.writeTextFile(
      `${folder}/runs/${name}${stopped ? ".unfinished" : ""}.jsonl`,
      stopped ? text + '{"kind":"st' : text,
    );
  }
  for (const timing of timings) {
    if (unfinished.includes(timing.run)) continue;
    await Deno.writeTextFile(`${folder}/runs/${timing.run}.timing.json`, JSON.stringify(timing));
  }
  const names = runs.map(({ header }) => header.run);
  const found = await resultsIn(folder);
  const order = (run: string) => names.indexOf(run);
  await writeReport(
    folder,
    { ...facts, runs: names },
    found.runs.toSorted((a, b) => order(a.header.run) - order(b.header.run)),
    found.timings.toSorted((a, b) => order(a.run) - order(b.run)),
  );
}

const all = (seeds: number, some: readonly MadeUp[] = Object.values(routers), steps = 20) =>
  runsOf(seeds, [...some, ...controls], { steps, task: "recall" });

Deno.test("a report made again from its folder is the same file, byte for byte on one JavaScript engine", () =>
  inOwnFolder(async (folder) => {
    const made = all(2);
    await leave(folder, made);
    const before = await Deno.readTextFile(`${folder}/report.html`);
    await Deno.writeTextFile(`${folder}/report.html`, "");
    const { code, out, error } = await task("report", folder);
    assertEquals([code, error], [0, ""]);
    assertStringIncludes(out, `Report of ${made.runs.length} runs`);
    assertEquals(await Deno.readTextFile(`${folder}/report.html`), before);
  }));

Deno.test("a stopped folder's report names what did not end and says how to go on", () =>
  inOwnFolder(async (folder) => {
    await leave(folder, all(2), ["recall-hash-seed1"]);
    const { runs } = await readResults(folder);
    assertEquals(runs.filter(({ end }) => end === null).map(({ header }) => header.run), [
      "recall-hash-seed1",
    ]);
    await task("report", folder);
    const html = await Deno.readTextFile(`${folder}/report.html`);
    assertStringIncludes(html, "15 of 16 runs have ended");
    assertStringIncludes(html, "deno task experiments --resume");
    assertStringIncludes(html, "Run recall-hash-seed1 is incomplete (its record stops at step 20 of 20)");
  }));

Deno.test("a report is there before the first run ends, and after a stop", () =>
  inOwnFolder(async (folder) => {
    const { runs, timings } = all(2);
    const writer = resultsWriter(folder, { ...facts, runs: runs.map(({ header }) => header.run) });
    await writer.begin(false);
    assertStringIncludes(await Deno.readTextFile(`${folder}/report.html`), "No run has ended yet");
    await writer.stopped();
    assertStringIncludes(await Deno.readTextFile(`${folder}/report.html`), facts.goOn);
    await writer.end({ runs, timings, failed: [] }, ["A remark."]);
    const html = await Deno.readTextFile(`${folder}/report.html`);
    assertStringIncludes(html, "A remark.");
    assert(!html.includes(facts.goOn), "it says how to go on when all is done");
    assertStringIncludes(html, `<a href="records.jsonl">`);
  }));

Deno.test("sources merge: equal runs count once, seeds join, and what differs is told apart by its source", () => {
  const two = all(2);
  const source = (label: string, { runs, timings }: ReturnType<typeof all>) => ({ label, runs, timings });
  // The same runs again, and two routers more.
  const more = all(2, [routers.switch, { ...routers.gshard, router: "other" }]);
  const joined = merged([source("a", two), source("b", more)]);
  assertEquals(joined.runs.length, two.runs.length + 2);
  assertEquals(new Set(joined.runs.map(({ header }) => header.run)).size, joined.runs.length);
  assertEquals(joined.timings.length, joined.runs.length);
  // Third seeds of the same.
  const third = {
    runs: all(3).runs.filter(({ header }) => header.seed === 2),
    timings: all(3).timings.filter(({ run }) => run.endsWith("seed2")),
  };
  const seeds = merged([source("a", two), source("b", third)]);
  assertEquals(
    summaryData(seeds.runs, seeds.timings).comparisons[0].rows.map(({ seeds }) => seeds),
    Array.from({ length: 8 }, () => [0, 1, 2]),
  );
  // One name, two things; controls are the same, so they stay in one comparison.
  const changed = all(2, [{ ...routers.hash, offset: 0.2 }]);
  const apart = merged([source("a", two), source("b", changed)]);
  const [{ rows }, ...none] = summaryData(apart.runs, apart.timings).comparisons;
  assertEquals(none, []);
  assertEquals(rows.map(({ name }) => name).filter((name) => name.startsWith("hash")), [
    "hash (a)",
    "hash (b)",
  ]);
  // Controls differ: a comparison each, and a table between them.
  const longer = all(2, Object.values(routers), 40);
  const settings = merged([source("a", two), source("b", longer)]);
  assertEquals(
    summaryData(settings.runs, settings.timings).comparisons.map(({ task }) => task),
    ["recall, a", "recall, b"],
  );
});

Deno.test("two sources stand side by side, paired by seed", () => {
  const { runs } = all(2);
  const later = runs.map((run): RunRecord =>
    run.header.router === "switch"
      ? { ...run, end: { ...run.end!, loss: run.end!.loss - 0.1 - run.header.seed / 10 } }
      : run
  );
  const [row, ...none] = between([{ label: "a", runs, timings: [] }, {
    label: "b",
    runs: later,
    timings: [],
  }]);
  assertEquals(none, [], "what is the same in both has no row");
  assertEquals(row.name, "recall, switch");
  // -0.1 and -0.2: mean -0.15, s = 0.0707107, t(0.975, 1) = 12.7062, half-width 0.635310.
  assertEquals(row.difference!.mean.toFixed(6), "-0.150000");
  assertEquals(row.difference!.interval!.high.toFixed(5), "0.48531");
});

Deno.test("compare prints the tables of files of records, or all numbers as JSON", () =>
  inOwnFolder(async (folder) => {
    const made = all(2);
    await Deno.writeTextFile(
      `${folder}/records.jsonl`,
      made.runs.map((run) => recordText(recordRows(run))).join(""),
    );
    const text = await task("compare", `${folder}/records.jsonl`);
    assertEquals([text.code, text.error], [0, ""]);
    assertEquals(text.out.trimEnd(), summaryTable(made.runs, []));
    const { out } = await task("compare", `${folder}/records.jsonl`, "--json");
    const { comparisons: [{ baseline, canTell, rows }], claims, between } = JSON.parse(out);
    assertEquals([baseline, canTell, between], ["switch", true, []]);
    const gshard = rows.find(({ name }: { name: string }) => name === "gshard");
    // Seeds 0 and 1: 5 - 0.04 + 0.11 + 0.004 and 5 - 0.04 - 0.07 - 0.006.
    assertEquals(gshard.loss.mean.toFixed(9), ((5.074 + 4.884) / 2).toFixed(9));
    assertEquals(gshard.seeds, [0, 1]);
    assert(["better", "no difference shown"].includes(gshard.verdict));
    assert(claims.verdicts.length > 0);
  }));

Deno.test("what cannot be read is refused in a sentence", () =>
  inOwnFolder(async (folder) => {
    for (
      const [words, reason] of [
        [[`${folder}/none`], "no such file or folder"],
        [[folder], "it holds neither runs nor records.jsonl"],
        [[], "name a folder of results"],
        [[folder, "--jsno"], "did you mean --json?"],
      ] as const
    ) {
      const { code, error } = await task("compare", ...words);
      assertEquals(code, 1);
      assert(/^Cannot [^\n]+\n$/.test(error), error);
      assertStringIncludes(error, reason);
    }
    assertThrows(() => parseRecords('{"kind":"step","step":0}\n', "mine"), SyntaxError, "first line");
  }));

Deno.test("a page lists every folder of results, the latest first, and says what it cannot read", () =>
  inOwnFolder(async (results) => {
    await leave(`${results}/compare`, all(2));
    await leave(`${results}/compare 2`, all(2), ["recall-hash-seed1"]);
    await Deno.mkdir(`${results}/broken`);
    await Deno.writeTextFile(`${results}/broken/report.html`, "");
    await Deno.writeTextFile(`${results}/broken/report.json`, "{");
    await Deno.mkdir(`${results}/no results`);
    assertEquals(await writeIndex(results), 3);
    const html = await Deno.readTextFile(`${results}/index.html`);
    assertStringIncludes(html, "3 experiments");
    assertStringIncludes(html, `<a href="compare%202/report.html">Report</a>`);
    assertStringIncludes(html, "15 of 16 runs finished on recall");
    assertStringIncludes(html, "3 variants: switch, gshard and hash");
    assertStringIncludes(html, "gshard has the lowest final validation loss of 3 routers; against switch:");
    assertStringIncludes(html, "report.json: it is damaged");
  }));

Deno.test("a page is served to this machine with what lies beside it, and tells when it changes", () =>
  inOwnFolder(async (folder) => {
    const place = `${folder}/results`;
    await Deno.mkdir(place);
    await Deno.writeTextFile(`${place}/report.html`, renderReport(facts, [], []));
    await Deno.writeTextFile(`${place}/records.jsonl`, "rows");
    await Deno.writeTextFile(`${folder}/secret`, "not for pages");
    await using served = servePage(`${place}/report.html`);
    assert(served.url.startsWith("http://127.0.0.1:"), served.url);
    const get = async (path: string) => {
      const answer = await fetch(new URL(path, served.url));
      return [answer.status, await answer.text()] as const;
    };
    const [status, html] = await get("/");
    assertEquals(status, 200);
    assert(html.includes("location.reload()") && html.includes("No run has ended yet"));
    assertEquals(await get("/records.jsonl"), [200, "rows"]);
    assertEquals((await get("/%2e%2e/secret"))[0], 404);
    assertEquals((await get("/..%2fsecret"))[0], 404);
    const [, before] = await get("/modified");
    await Deno.utime(`${place}/report.html`, new Date(), new Date(Date.now() + 5000));
    assert((await get("/modified"))[1] !== before);
  }));

Deno.test("--open serves the report while runs go on; Ctrl-C leaves one to open", () =>
  inOwnFolder(async (folder) => {
    const out = `${folder}/out`;
    const words = ["--task", "recall", "--routers", "switch", "--seeds", "1", "--no-controls", "--jobs", "1"];
    const child = startExperiments([...words, "--steps", "100000", "--open", "--out", out]);
    let said = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      said += piece;
      const url = said.match(/http:\/\/127\.0\.0\.1:\d+\//)?.[0];
      if (url === undefined || !said.includes("step ")) continue;
      const html = await (await fetch(url)).text();
      assertStringIncludes(html, "No run has ended yet");
      assertStringIncludes(html, "--resume");
      child.kill("SIGINT");
      break;
    }
    await child.stderr.cancel();
    assertEquals((await child.status).code, 130);
    const html = await Deno.readTextFile(`${out}/report.html`);
    assertStringIncludes(html, "Run switch-seed0 is incomplete");
    assertStringIncludes(html, "0 of 1 runs have ended");
  }));
