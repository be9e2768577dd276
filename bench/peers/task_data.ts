// Writes a task's training batches and what it is judged by to a folder, with its vectors where it has frozen ones, for
// task_twin.py: twins draw nothing of the task themselves, so that they differ from us in the model and its training alone.
// Usage: deno run --allow-read --allow-write --allow-env bench/peers/task_data.ts TASK FOLDER [SEEDS] [OPTION=VALUE ...]
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import type { Examples, TaskData } from "../../tasks/task.ts";
import { random } from "../../tensor/random.ts";
import { configOf, type RunConfig } from "../../training/config.ts";
import { evaluationPlan } from "../../training/evaluate.ts";
import { learningRateAt } from "../../training/schedule.ts";

/** Options of a task by name. */
export type TwinOptions = Readonly<Record<string, unknown>>;

/** Reads `skew=1`. @throws {RangeError} for a word that is no option with a value. */
export function readOptions(words: readonly string[]): TwinOptions {
  return Object.fromEntries(words.map((word) => {
    const [, name, value] = word.match(/^(\w+)=(.+)$/) ?? [];
    if (name === undefined) throw new RangeError(`Cannot use "${word}": write OPTION=VALUE, like skew=1`);
    return [name, JSON.parse(value)];
  }));
}

/** A run on the task at its defaults, but for some of the task's options. */
export function twinConfig(name: string, options: TwinOptions): RunConfig {
  const own = Object.fromEntries(Object.entries(options).map(([key, value]) => [`task.${key}`, value]));
  return configOf({ "task.name": name, ...findTask(name).defaults, ...own });
}

/** Ids of a batch, then its targets. */
function idsAndTargets({ tokenId, target }: Examples): number[] {
  return [...tokenId, ...target];
}

/** What a twin must know of the model that reads frozen vectors, or tokens; null of a task that it cannot do. */
function inputFacts({ input, output, bestRouting }: TaskData): Readonly<Record<string, unknown>> | null {
  if (input.kind === "tokens") return { input: input.kind, V: input.V };
  const classes = output.kind === "vectors" && output.loss === "cross-entropy";
  return classes && bestRouting ? { input: input.kind } : null;
}

/** Arrays by file name, and what a twin must know of them. */
export async function twinFiles(
  name: string,
  seeds: number,
  options: TwinOptions = {},
): Promise<Map<string, Uint8Array>> {
  const plugin = findTask(name);
  const data = await plugin.load(parseTaskOptions(plugin, options)) as TaskData;
  const config = twinConfig(name, options);
  const { model, train, experts } = config;
  const { batch, length, steps, weightDecay, learningRate: peak, warmupShare, endShare } = train;
  const input = inputFacts(data);
  if (input === null) {
    throw new RangeError(
      `Cannot write task "${name}" for a twin: choose one of frozen vectors and classes, or of text, like "recall"`,
    );
  }
  const schedule = { peak, steps, warmupShare, endShare };
  // Whole batches: a twin takes all of one size.
  const judged = evaluationPlan(config, data).filter(({ tokenId }) => tokenId.length === batch * length);
  const facts = {
    task: data.name,
    digest: data.digest,
    ...input,
    D: model.width,
    F: model.expertWidth,
    E: model.experts,
    layers: model.layers,
    heads: model.heads,
    bias: experts.bias === true,
    residualScale: model.residualScale ?? 1 / Math.sqrt(2 * model.layers),
    T: batch * length,
    length,
    steps,
    weightDecay,
    seeds,
    learningRates: Array.from({ length: steps }, (_, step) => learningRateAt(step, schedule)),
  };
  const files = new Map<string, Uint8Array>();
  const put = (file: string, values: Float32Array | Int32Array) =>
    files.set(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  files.set("task.json", new TextEncoder().encode(`${JSON.stringify(facts)}\n`));
  if (data.input.kind === "vectors" && data.output.kind === "vectors") {
    put("input.f32", data.input.vectors.values);
    put("output.f32", data.output.vectors.values);
    put("group.i32", data.bestRouting!.group_V);
  }
  put("judged.i32", Int32Array.from(judged.flatMap(idsAndTargets)));
  for (let seed = 0; seed < seeds; seed++) {
    const examplesAt = data.trainingExamples({ batch, length, random: random(seed).split("data") });
    const batches = Array.from({ length: steps }, (_, step) => idsAndTargets(examplesAt(step)));
    put(`train_${seed}.i32`, Int32Array.from(batches.flat()));
  }
  return files;
}

if (import.meta.main) {
  const [task, folder, seeds = "4", ...options] = Deno.args;
  await Deno.mkdir(folder, { recursive: true });
  for (const [file, bytes] of await twinFiles(task, Number(seeds), readOptions(options))) {
    await Deno.writeFile(`${folder}/${file}`, bytes);
  }
}
