// Where a run lets its worker breathe: at every value that is read back, messages get their turn and a pause holds the run,
// in the middle of a step too. What is computed does not depend on it.
import type { Backend } from "../../kernels/kernel.ts";

const TURN_MILLISECONDS = 30;

/** The gate of a run. */
export interface Gate {
  /** The backend, whose reads pass through the gate. */
  readonly backend: Backend;
  /** True while the gate holds the run. */
  readonly holding: boolean;
  /** Between steps: counts the step, and is passed as reads are. */
  betweenSteps(): Promise<void>;
  /** Lets so many steps pass from now on. */
  open(steps: number): void;
  close(): void;
  /** Work on the run's backend while the run is held, or over. */
  aside(work: () => Promise<void>): Promise<void>;
}

/** What a gate tells. */
export interface GateEvents {
  /** The run has come to rest. */
  onHeld(): void;
  /** Messages have had their turn. */
  onTurn?(): void;
}

/** A gate, closed at first. */
export function createGate(opened: Backend, { onHeld, onTurn }: GateEvents): Gate {
  let [steps, last, isAside] = [0, performance.now(), false];
  let held: (() => void)[] = [];

  async function pass(): Promise<void> {
    if (isAside) return;
    if (performance.now() - last > TURN_MILLISECONDS) {
      await turn();
      last = performance.now();
      onTurn?.();
    }
    if (steps > 0) return;
    if (held.length === 0) onHeld();
    await new Promise<void>((resolve) => held.push(resolve));
  }

  function release(): void {
    if (steps === 0 || isAside) return;
    for (const goOn of held) goOn();
    held = [];
  }

  return {
    // Values are taken before the gate: what they lie in may be written anew behind it.
    backend: {
      ...opened,
      async read(buffer) {
        const values = await opened.read(buffer);
        await pass();
        return values;
      },
    },
    get holding() {
      return held.length > 0;
    },
    betweenSteps() {
      steps = Math.max(0, steps - 1);
      return pass();
    },
    open(count) {
      steps = count;
      release();
    },
    close: () => void (steps = 0),
    async aside(work) {
      isAside = true;
      try {
        await work();
      } finally {
        isAside = false;
        release();
      }
    },
  };
}

/** A turn of the event loop, without the milliseconds that a timer waits. */
function turn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
