// A run inside its worker: trains through the package's trainer, sends the rows of its record as they come, and looks now
// and then at where the scene's tokens go.
import { configOf } from "../../training/config.ts";
import { recordRows } from "../../training/record_text.ts";
import { createTrainer, type Trainer } from "../../training/trainer.ts";
import { loadData } from "./data.ts";
import { openDevice } from "./device.ts";
import { createGate, type Gate } from "./gate.ts";
import { createLooker, type Looker } from "./looker.ts";
import type { FromRun, RunStart, ToRun } from "./messages.ts";

const ROWS_MILLISECONDS = 40;

/** What the page's messages reach while a run trains, and after. */
interface Handles {
  gate: Gate | null;
  looker: Looker | null;
  over: boolean;
}

/** What a run needs of its worker. */
export interface WorkerSide {
  readonly post: (message: FromRun) => void;
  /** Says why the run cannot go on. */
  readonly fail: (error: unknown) => void;
  /** Called whenever messages have had their turn. */
  readonly alive: () => void;
}

/** Trains the one run of a worker; what it returns takes the page's messages after the first. */
export function startTraining(
  start: RunStart,
  { post, fail, alive }: WorkerSide,
): (message: ToRun) => void {
  const handles: Handles = { gate: null, looker: null, over: false };
  let [steps, turn] = [Infinity, 0];
  const onHeld = () => post({ kind: "paused", turn });
  const openGate = () => handles.gate?.open(steps);
  void trainWith(start, handles, { post, alive, onHeld, openGate }).catch(fail);
  return (message) => {
    switch (message.kind) {
      case "go":
        ({ steps, turn } = message);
        return openGate();
      case "pause":
        steps = 0;
        return handles.gate?.close();
      case "sentence":
        return void lookAt(message.sentence, handles).catch(fail);
    }
  };
}

async function lookAt(sentence: string | null, { gate, looker, over }: Handles): Promise<void> {
  looker?.take(sentence);
  if (gate && looker && (gate.holding || over)) await gate.aside(() => looker.look(true));
}

interface Outside extends Omit<WorkerSide, "fail"> {
  readonly onHeld: () => void;
  readonly openGate: () => void;
}

async function trainWith(
  start: RunStart,
  handles: Handles,
  { post, alive, onHeld, openGate }: Outside,
): Promise<void> {
  const { names, version, scene, sentence } = start;
  const config = configOf(...start.settings);
  const data = await loadData(config.task, start.corpus);
  const { backend, about, notes } = await openDevice(start, post);
  post({ kind: "opened", device: about, notes });
  const gate = handles.gate = createGate(backend, { onHeld, onTurn: alive });
  openGate();
  const trainer = await createTrainer(config, { backend: gate.backend, data, names, version });
  const looker = handles.looker = scene && createLooker(trainer, { kind: scene, data, sentence }, post);
  const sendRows = rowsOf(trainer, post);
  while (trainer.steps < config.train.steps) {
    await trainer.step();
    sendRows(trainer.steps === 1);
    await looker?.look(trainer.steps === 1);
    if (trainer.steps < config.train.steps) await gate.betweenSteps();
  }
  await trainer.finish();
  sendRows(true);
  await looker?.look(true);
  handles.over = true;
  post({ kind: "done" });
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
