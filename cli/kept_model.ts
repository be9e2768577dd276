// What commands on a kept model share: how the run is named, the options that say what opens it, and the device it is on.
import { resolve } from "node:path";
import { readModelConfig } from "../training/load_model.ts";
import { type Device, findDevice, openDevice } from "./device.ts";
import { type Option, valueOf, wholeNumberOf, type Words } from "./options.ts";
import type { PlannedRuns } from "./plan_runs.ts";
import { loadPlugins } from "./plugin.ts";

/** Plugins that the model is made of, and threads. */
export const keptModelOptions = {
  plugin: {
    about: "a module with a router, kind of experts or task that the model has (repeatable)",
    value: "FILE",
    isPath: true,
    repeatable: true,
  },
  threads: { about: "CPU threads, 1 to 64 (default: one a core)", value: "N" },
} satisfies Record<string, Option>;

/** Where a model may compute. */
export const deviceOption: Option = {
  about: "cpu, webgpu, or auto: a GPU when there is one, else the CPU",
  value: "NAME",
  default: "cpu",
};

const NAMED = "results/compare/runs/languages-switch-seed0, or a folder that holds one";

/** What help says of the operand. */
export const runNote = `RUN is a run's model, like ${NAMED}.`;

/**
 * The one run that is named, as a path from the folder the command runs in.
 * @param stands Where the user stands, if not there.
 * @param purpose What is to be done with it: `inspect`, `sample from`.
 * @throws {RangeError} when none is named, or several are.
 */
export function namedRun({ names }: Pick<Words, "names">, stands: string | null, purpose: string): string {
  if (names.length !== 1) {
    const given = names.length === 0 ? "nothing" : `"${names.join('", "')}"`;
    throw new RangeError(`Cannot ${purpose} ${given}: name one run, like ${NAMED} model`);
  }
  return stands === null ? names[0] : resolve(stands, names[0]);
}

/** Loads the plugins and opens the device; a command without `--device` is on the CPU. */
export async function openForModel(words: Words): Promise<Device["backend"]> {
  const device = findDevice("device" in words.values ? valueOf(words, "device") ?? "cpu" : "cpu");
  const threads = wholeNumberOf(words, "threads", 1, 64);
  await loadPlugins(words.values.plugin);
  return (await openDevice(device, { threads, blas: "off" })).backend;
}

/**
 * Checks that every model which planned runs start from or learn from is there and is one.
 * @throws {RangeError} when it is none; {Error} when it cannot be read, saying why.
 */
export async function checkKeptModels({ plans }: PlannedRuns): Promise<void> {
  const named = plans.flatMap(({ config: { train } }) => [train.from, train.teacher]);
  for (const place of new Set(named)) if (place !== null) await readModelConfig(place);
}
