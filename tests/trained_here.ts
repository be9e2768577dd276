// Runs of the playground's addresses, trained by this process.
import config from "../deno.json" with { type: "json" };
import { cpu } from "../cpu/backend.ts";
import { stateOf } from "../playground/address.ts";
import { namesOf, routersOf, runConfigOf } from "../playground/state.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import type { TokenInLayer } from "../training/look.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { train, type Trained } from "../training/train.ts";

async function trainedHere<Found>(
  address: string,
  use: (trained: Trained, data: TaskData) => Promise<Found> | Found,
): Promise<Found[]> {
  const state = stateOf(address);
  using backend = await cpu({ threads: 1 });
  const found: Found[] = [];
  for (const [at, choice] of routersOf(state).entries()) {
    const run = runConfigOf(state, choice);
    const { name, ...options } = run.task;
    const task = findTask(name);
    const data = await task.load(parseTaskOptions(task, options));
    using trained = await train(run, { backend, data, names: namesOf(state)[at], version: config.version });
    found.push(await use(trained, data));
  }
  return found;
}

/** Records that Deno writes for an address. */
export async function recordsOf(address: string): Promise<string> {
  return (await trainedHere(address, ({ record }) => recordText(recordRows(record)))).join("");
}

/** Where the tokens of a task go in the last mixture after an address's first run. */
export async function lookedAt(
  address: string,
  tokens: (data: TaskData) => Int32Array,
): Promise<TokenInLayer[]> {
  const [looks] = await trainedHere(address, ({ trainer }, data) => trainer!.look(tokens(data)));
  return looks.map(({ layers }) => layers.at(-1)!);
}
