// The roof everything else is held against: floating-point operations a second in WebAssembly, registers only, on as
// many threads as are asked for. Compiled when it runs, by the compiler that compiles the kernels.
import asc from "assemblyscript/asc";
import { Worker } from "node:worker_threads";
import { hasRelaxedSimd } from "../cpu/module.ts";

/** A loop to time. */
export type PeakLoop = "fused" | "plain";

interface Exports {
  flopOfRound(): number;
  fused(rounds: number, factor: number, offset: number): number;
  plain(rounds: number, factor: number, offset: number): number;
}

/** Threads that are ready to run the loops. */
export interface Peak extends Disposable {
  /** Which loops this engine runs. */
  readonly loops: readonly PeakLoop[];
  /** Floating-point operations a second on `threads` threads at once: the best of several bursts, since this is a roof. */
  measure(loop: PeakLoop, threads: number): number;
}

/** Values that neither grow nor fade, so that no round is slower than another. */
const [FACTOR, OFFSET] = [0.5, 1];
const ROUNDS = 2_000_000;
const BURSTS = 40;

// Places in the shared array: rounds started, threads taking part, threads done, loop.
const [STARTED, THREADS, DONE, LOOP] = [0, 1, 2, 3];

const WORKER = `(({ module, shared, thread, rounds, factor, offset }) => {
  const { exports } = new WebAssembly.Instance(module);
  const state = new Int32Array(shared);
  Atomics.add(state, ${DONE}, 1);
  for (let seen = 0;;) {
    Atomics.wait(state, ${STARTED}, seen);
    seen = Atomics.load(state, ${STARTED});
    if (thread >= Atomics.load(state, ${THREADS})) continue;
    exports[Atomics.load(state, ${LOOP}) === 0 ? "fused" : "plain"](rounds, factor, offset);
    Atomics.add(state, ${DONE}, 1);
  }
})(require("node:worker_threads").workerData)`;

async function compile(): Promise<Uint8Array<ArrayBuffer>> {
  const relaxed = hasRelaxedSimd();
  const source = await Deno.readTextFile(new URL("peak.as.ts", import.meta.url));
  // Without relaxed SIMD the fused loop could not even be loaded.
  const text = relaxed ? source : source.replace(/export function fused[\s\S]*?\n}\n/, "");
  let binary: Uint8Array<ArrayBuffer> | undefined;
  let messages = "";
  const features = relaxed ? "simd,relaxed-simd" : "simd";
  const words = ["peak.as.ts", "--outFile", "peak.wasm", "-O3", "--noAssert", "--runtime", "stub"];
  const { error } = await asc.main([...words, "--enable", features], {
    readFile: (name) => name === "peak.as.ts" ? text : null,
    writeFile: (name, contents) => {
      if (name === "peak.wasm") binary = contents as Uint8Array<ArrayBuffer>;
    },
    listFiles: () => [],
    stdout: { write: (text) => void (messages += String(text)) },
    stderr: { write: (text) => void (messages += String(text)) },
  });
  if (!binary) throw new Error(`Cannot compile bench/peak.as.ts: ${messages || error?.message}`);
  return binary;
}

/** Starts `threads` threads, this one included. */
export async function createPeak(threads: number): Promise<Peak> {
  const module = await WebAssembly.compile(await compile());
  const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  const shared = new SharedArrayBuffer(16);
  const state = new Int32Array(shared);
  const constants = { rounds: ROUNDS, factor: FACTOR, offset: OFFSET };
  const workers = Array.from(
    { length: threads - 1 },
    (_, at) =>
      new Worker(WORKER, { eval: true, workerData: { module, shared, thread: at + 1, ...constants } }),
  );
  for (const worker of workers) {
    worker.on("error", (error) => {
      throw error;
    });
  }
  while (Atomics.load(state, DONE) < threads - 1) await new Promise((resolve) => setTimeout(resolve, 5));
  /** Seconds of one burst, from the word to go until the last thread is done. */
  function burst(loop: PeakLoop, taking: number): number {
    Atomics.store(state, THREADS, taking);
    Atomics.store(state, LOOP, loop === "fused" ? 0 : 1);
    Atomics.store(state, DONE, 1);
    const start = performance.now();
    Atomics.add(state, STARTED, 1);
    Atomics.notify(state, STARTED);
    exports[loop](ROUNDS, FACTOR, OFFSET);
    while (Atomics.load(state, DONE) < taking);
    return (performance.now() - start) / 1000;
  }
  return {
    loops: hasRelaxedSimd() ? ["fused", "plain"] : ["plain"],
    measure(loop, taking) {
      const seconds = Math.min(...Array.from({ length: BURSTS }, () => burst(loop, taking)));
      return taking * ROUNDS * exports.flopOfRound() / seconds;
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
    },
  };
}
