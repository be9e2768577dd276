// Writes a task's vectors, training batches and what it is judged by to a folder, for task_twin.py: twins draw nothing of
// the task themselves, so that they differ from us in the model and its training alone.
// Usage: deno run --allow-read --allow-write bench/peers/task_data.ts TASK FOLDER [SEEDS]
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import type { Examples, TaskData } from "../../tasks/task.ts";
import { random } from "../../tensor/random.ts";
import { learningRateAt } from "../../training/schedule.ts";

/** Ids of a batch, then its targets. */
function idsAndTargets({ tokenId, target }: Examples): number[] {
  return [...tokenId, ...target];
}

/** Arrays by file name, and what a twin must know of them. */
export async function twinFiles(name: string, seeds: number): Promise<Map<string, Uint8Array>> {
  const plugin = findTask(name);
  const data = await plugin.load(parseTaskOptions(plugin)) as TaskData;
  const { input, output, bestRouting } = data;
  if (
    input.kind !== "vectors" || output.kind !== "vectors" || output.loss !== "cross-entropy" || !bestRouting
  ) {
    throw new RangeError(
      `Cannot write task "${name}" for a twin: choose one of frozen vectors, like "recall"`,
    );
  }
  const setting = (path: string) => Number(plugin.defaults[path]);
  const [batch, length, steps] = [setting("train.batch"), setting("train.length"), setting("train.steps")];
  const schedule = {
    peak: setting("train.learningRate"),
    steps,
    warmupShare: setting("train.warmupShare"),
    endShare: setting("train.endShare"),
  };
  const judged = data.evaluationExamples({ batch, length });
  const facts = {
    task: data.name,
    digest: data.digest,
    D: input.vectors.D,
    F: setting("model.expertWidth"),
    E: setting("model.experts"),
    T: batch * length,
    steps,
    learningRates: Array.from({ length: steps }, (_, step) => learningRateAt(step, schedule)),
    seeds,
  };
  const files = new Map<string, Uint8Array>();
  const put = (file: string, values: Float32Array | Int32Array) =>
    files.set(file, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  files.set("task.json", new TextEncoder().encode(`${JSON.stringify(facts)}\n`));
  put("input.f32", input.vectors.values);
  put("output.f32", output.vectors.values);
  put("group.i32", bestRouting.group_V);
  put("judged.i32", Int32Array.from(judged.flatMap(idsAndTargets)));
  for (let seed = 0; seed < seeds; seed++) {
    const stream = random(seed).split("data");
    const batches = Array.from(
      { length: steps },
      (_, step) => idsAndTargets(data.trainingExamples({ batch, length, random: stream })(step)),
    );
    put(`train_${seed}.i32`, Int32Array.from(batches.flat()));
  }
  return files;
}

if (import.meta.main) {
  const [task, folder, seeds = "4"] = Deno.args;
  await Deno.mkdir(folder, { recursive: true });
  for (const [file, bytes] of await twinFiles(task, Number(seeds))) {
    await Deno.writeFile(`${folder}/${file}`, bytes);
  }
}
