// Records as files of the user's.
/// <reference lib="dom" />
import { recordText } from "../training/record_text.ts";
import { element } from "./dom.ts";
import type { Run } from "./run/run.ts";

/** Hands the runs' records to the browser as one file, JSON Lines as Deno writes them. */
export function saveRecords(runs: readonly Run[]): void {
  const text = runs.map(({ rows }) => recordText(rows)).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  const name = runs.map(({ header }) => header?.run ?? "run").join("-and-");
  element("a", { href: url, download: `${name}.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
