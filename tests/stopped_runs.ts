// Trains routers that carry state, one after the other, saving every few steps and going on where it finds a checkpoint; run as
// a program, so that tests can stop it: `deno run -A tests/stopped_runs.ts FOLDER`. SIGTERM ends it saved, with status 143.
import { cpu } from "../cpu/backend.ts";
import { configOf } from "../training/config.ts";
import { openRunStore } from "../training/run_store.ts";
import { train } from "../training/train.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";

/** Runs of routers whose next step hangs on more than parameters, with options that make it so. */
const stateful = [
  ["deepseek", { k: 2, shared: 0 }],
  ["locmoe-plus", { boundEvery: 2, boundMemory: 0.5 }],
  ["gumbel-matching", {}],
  ["gumbel-matching", { proposal: "sinkhorn" }],
  ["skip", {}],
] as const;

const settings = { "train.steps": 24, "train.batch": 64, "train.evaluations": 2 };

if (import.meta.main) {
  const [folder] = Deno.args;
  const stop = new AbortController();
  Deno.addSignalListener("SIGTERM", () => stop.abort(new Error("stopped")));
  const backend = await cpu({ threads: 1 });
  const recall = findTask("recall");
  const data = await recall.load(parseTaskOptions(recall, { facts: 64 }));
  try {
    for (const [at, [name, options]] of stateful.entries()) {
      const config = configOf({
        "task.name": "recall",
        ...recall.defaults,
        "task.facts": 64,
        ...settings,
        router: { name, ...options },
      });
      const run = `${name}-${at}`;
      const store = openRunStore(folder, run);
      const given = { backend, data, store, names: { run }, resume: true, checkpointEvery: 2 };
      (await train(config, { ...given, signal: stop.signal }))[Symbol.dispose]();
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    Deno.exit(143);
  }
  Deno.exit(0);
}
