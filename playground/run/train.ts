// A run inside its worker: trains through the package's trainer, sends the rows of its record as they come, and looks now
// and then at where the scene's tokens go.
import { cpu } from "../../cpu/backend.ts";
import type { ThreadStart } from "../../cpu/threads.ts";
import { webgpu } from "../../gpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { recordRows } from "../../training/record_text.ts";
import { createTrainer, type Trainer } from "../../training/trainer.ts";
import type { DeviceName } from "../state.ts";
import { loadData } from "./data.ts";
import { createGate, type Gate } from "./gate.ts";
import type { FromRun, RunStart, ToRun } from "./messages.ts";
import { sceneOf, type SceneTokens } from "./scene.ts";

const ROWS_MILLISECONDS = 40;
const LOOK_MILLISECONDS = 150;

/** Trains the one run of a worker; what it returns takes the page's messages after the first. */
export function startTraining(start: RunStart, post: (message: FromRun) => void): (message: ToRun) => void {
  let gate: Gate | null = null;
  let [steps, turn] = [Infinity, 0];
  const onHeld = () => post({ kind: "paused", turn });
  void trainWith(start, { post, onHeld }, (made) => {
    gate = made;
    gate.open(steps);
  }).catch((error) =>
    post({ kind: "failed", message: error instanceof Error ? error.message : String(error) })
  );
  return (message) => {
    if (message.kind === "go") ({ steps, turn } = message);
    else steps = 0;
    if (steps > 0) gate?.open(steps);
    else gate?.close();
  };
}

async function trainWith(
  { config, names, version, device, threads, scene: kind }: RunStart,
  { post, onHeld }: { readonly post: (message: FromRun) => void; readonly onHeld: () => void },
  onGate: (gate: Gate) => void,
): Promise<void> {
  const data = await loadData(config.task);
  const { backend, about, notes } = await openDevice(device, threads, post);
  post({ kind: "opened", device: about, notes });
  const gate = createGate(backend, onHeld);
  onGate(gate);
  const trainer = await createTrainer(config, { backend: gate.backend, data, names, version });
  const watched = kind ? sceneOf(kind, data) : null;
  if (watched) post({ kind: "scene", scene: watched.scene });
  const rows = rowsOf(trainer, post);
  const look = lookerOf(trainer, watched, post);
  while (trainer.steps < config.train.steps) {
    await trainer.step();
    rows(trainer.steps === 1);
    await look(trainer.steps === 1);
    if (trainer.steps < config.train.steps) await gate.betweenSteps();
  }
  await trainer.finish();
  rows(true);
  await look(true);
  post({ kind: "done" });
}

async function openDevice(
  device: DeviceName,
  wanted: number,
  post: (message: FromRun) => void,
): Promise<{ readonly backend: Backend; readonly about: string; readonly notes: readonly string[] }> {
  if (device === "webgpu") {
    const backend = await webgpu();
    const kind = backend.software ? ", which computes on the CPU" : "";
    return { backend, about: `WebGPU on ${backend.arithmetic.device}${kind}`, notes: [] };
  }
  const startThread = (thread: ThreadStart) => post({ kind: "thread", thread });
  const backend = await cpu({ threads: wanted, startThread });
  const { threads, notes } = backend;
  return { backend, about: `CPU, ${threads} thread${threads === 1 ? "" : "s"}`, notes };
}

/** Sends rows that are new, where it is time or asked for. */
function rowsOf(trainer: Trainer, post: (message: FromRun) => void): (now: boolean) => void {
  let [sent, last] = [0, 0];
  return (now) => {
    if (!now && performance.now() - last < ROWS_MILLISECONDS) return;
    const all = recordRows(trainer.record());
    if (all.length > sent) post({ kind: "rows", rows: all.slice(sent) });
    [sent, last] = [all.length, performance.now()];
  };
}

/** Looks at the scene, where it is time or asked for. */
function lookerOf(
  trainer: Trainer,
  watched: SceneTokens | null,
  post: (message: FromRun) => void,
): (now: boolean) => Promise<void> {
  let last = 0;
  return async (now) => {
    if (!watched || (!now && performance.now() - last < LOOK_MILLISECONDS)) return;
    post({ kind: "looks", step: trainer.steps, tokens: await trainer.look(watched.tokenId_T) });
    last = performance.now();
  };
}
