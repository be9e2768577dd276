// Records of schema 1, written by version 0.1.0 before runs were configs (tests/oracles/records_schema1.jsonl, from
// `deno task experiments --size tiny --steps 6 --seeds 1 --routers switch,hash`): they are read, and make a report.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { renderReport } from "../report/report.ts";
import { summaryTable } from "../report/table.ts";
import { parseRecord, recordRows, recordText } from "../training/record_text.ts";

const text = await Deno.readTextFile(new URL("oracles/records_schema1.jsonl", import.meta.url));
const records = text.split(/(?=\{"kind":"run")/).map((part) => parseRecord(part, "schema 1"));

Deno.test("older records are read in today's shape", () => {
  assertEquals(records.map(({ header }) => header.router), ["switch", "hash"]);
  const [{ header, steps, end }] = records;
  assertEquals([header.schema, steps.length, end!.step], [undefined, 6, 6]);
  assertEquals(header.data.facts, { "training tokens": 1_091_761, "validation tokens": 126_771 });
  assertEquals(header.data.references.map(({ name }) => name), ["unigram"]);
  assertAlmostEquals(Math.exp(header.data.references[0].loss), 71.2074, 1e-3);
  const [{ labels, words }] = end!.specialisation;
  assertEquals(labels.map(({ name, names }) => [name, names.length]), [["part of speech", 13], [
    "genre",
    15,
  ]]);
  assertEquals([labels[0].counts.length, words.length], [4, 4]);
  // What is read once is not changed by being written and read again.
  assertEquals(parseRecord(recordText(recordRows(records[0])), "again"), records[0]);
});

Deno.test("older records make a report and a table, which say that without controls nothing can be told", () => {
  const experiment = { name: "compare", about: "Old?", command: "deno task experiments", date: "2026-11-25" };
  const html = renderReport(experiment, records, []);
  const table = summaryTable(records, []);
  for (const said of [html, table]) assertStringIncludes(said, "cannot say what routing is worth");
  assert(!/undefined|NaN/.test(html.replaceAll(/<script[\s\S]*?<\/script>/g, "")), "a hole in the report");
});
