// The other end of workers.ts: trains the runs it is sent, one after another, on a CPU backend of its own.
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import { usedText } from "../cpu/blas/measurement.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { train } from "../training/train.ts";
import { loadPlugins } from "./plugin.ts";
import { storeOf } from "./store_of.ts";
import type { WorkerAnswer, WorkerTask } from "./workers.ts";

/** What a worker keeps from run to run. */
interface Kept {
  readonly backend: CpuBackend;
  readonly data: Map<string, TaskData>;
}

async function prepare({ pluginPaths, machine, blas }: WorkerTask): Promise<Kept> {
  await loadPlugins(pluginPaths);
  return { backend: await cpu({ threads: machine.threads, blas: blas ?? "off" }), data: new Map() };
}

async function dataOf({ data }: Kept, { plan: { config, dataKey } }: WorkerTask): Promise<TaskData> {
  const found = data.get(dataKey);
  if (found) return found;
  const { name, ...options } = config.task;
  const plugin = findTask(name);
  const loaded = await plugin.load(parseTaskOptions(plugin, options));
  data.set(dataKey, loaded);
  return loaded;
}

function answer(message: WorkerAnswer): void {
  (self as unknown as { postMessage(message: WorkerAnswer): void }).postMessage(message);
}

async function trainHere(kept: Kept, task: WorkerTask): Promise<void> {
  const { plan: { config, names }, resume, keepModel, version } = task;
  // Timings name what came up here.
  const { threads, blas } = kept.backend;
  const machine = { ...task.machine, threads, blas: usedText(blas) };
  try {
    using trained = await train(config, {
      backend: kept.backend,
      data: await dataOf(kept, task),
      store: storeOf(task, names.run),
      resume,
      ...(keepModel ? { keepModel } : {}),
      machine,
      version,
      names,
      onStart: (step) => answer({ kind: "start", step }),
      onStep: ({ step, loss }, { seconds }) => answer({ kind: "step", step, loss, seconds }),
    });
    answer({ kind: "done", record: trained.record, timing: trained.timing });
  } catch (error) {
    const { message } = error as Error;
    const own = error instanceof RangeError || error instanceof TypeError;
    answer(own ? { kind: "failed", reason: message } : { kind: "error", message });
  }
}

function serve(): void {
  let kept: Promise<Kept> | null = null;
  self.addEventListener("message", (event) => {
    const task = (event as MessageEvent<WorkerTask>).data;
    kept ??= prepare(task);
    kept.then((each) => trainHere(each, task)).catch(({ message }) => answer({ kind: "error", message }));
  });
}

serve();
