// The roofs everything else is held against: operations a second in registers only, and bytes a second to and from
// memory, in WebAssembly on as many threads as are asked for. Compiled when it runs, by the kernels' own compiler.
import asc from "assemblyscript/asc";
import { Worker } from "node:worker_threads";
import { hasRelaxedSimd } from "../../cpu/module.ts";

/** A loop to time. */
export type PeakLoop = "fused" | "plain";

interface Exports {
  flopOfRound(): number;
  fused(rounds: number, factor: number, offset: number): number;
  plain(rounds: number, factor: number, offset: number): number;
  triad(start: number, count: number, repeats: number, factor: number): void;
}

/** Threads that are ready to run the loops. */
export interface Peak extends Disposable {
  /** Which loops this engine runs. */
  readonly loops: readonly PeakLoop[];
  /** Floating-point operations a second on `threads` threads at once: the best of several bursts, since this is a roof. */
  measure(loop: PeakLoop, threads: number): number;
  /** Bytes a second read and written by `threads` threads that work on `bytes` together, as `measure` does. */
  bandwidth(bytes: number, threads: number): number;
}

/** Bytes that threads work on together: what fits the nearest cache, what fits the largest, and what fits none. */
export const workingSets: readonly number[] = [2 ** 19, 2 ** 22, 2 ** 25, 2 ** 28];

/** Values that neither grow nor fade, so that no round is slower than another. */
const [FACTOR, OFFSET] = [0.5, 1];
const ROUNDS = 2_000_000;
const BURSTS = 40;
/** Bytes that one burst of `bandwidth` moves at least. */
const BURST_BYTES = 2 ** 27;
const BANDWIDTH_BURSTS = 8;
/** Arrays begin past what the module itself may use. */
const START = 65536;
const ARRAYS = 3;

// Places in the shared array: bursts started, threads taking part, threads done, loop, elements, repeats.
const [STARTED, THREADS, DONE, LOOP, COUNT, REPEATS] = [0, 1, 2, 3, 4, 5];
const loopNumber = { fused: 0, plain: 1, triad: 2 } as const;

const WORKER = `(({ module, shared, thread, rounds, factor, offset, start }) => {
  const { exports } = new WebAssembly.Instance(module);
  const state = new Int32Array(shared);
  Atomics.add(state, ${DONE}, 1);
  for (let seen = 0;;) {
    Atomics.wait(state, ${STARTED}, seen);
    seen = Atomics.load(state, ${STARTED});
    if (thread >= Atomics.load(state, ${THREADS})) continue;
    const loop = Atomics.load(state, ${LOOP});
    if (loop === ${loopNumber.triad}) {
      exports.triad(start, Atomics.load(state, ${COUNT}), Atomics.load(state, ${REPEATS}), factor);
    } else exports[loop === ${loopNumber.fused} ? "fused" : "plain"](rounds, factor, offset);
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
  const pages = Math.ceil((START + Math.max(...workingSets)) / 65536) + 1;
  const words = ["peak.as.ts", "--outFile", "peak.wasm", "-O3", "--noAssert", "--runtime", "stub"];
  const { error } = await asc.main([...words, "--enable", features, "--initialMemory", String(pages)], {
    readFile: (name) => name === "peak.as.ts" ? text : null,
    writeFile: (name, contents) => {
      if (name === "peak.wasm") binary = contents as Uint8Array<ArrayBuffer>;
    },
    listFiles: () => [],
    stdout: { write: (text) => void (messages += String(text)) },
    stderr: { write: (text) => void (messages += String(text)) },
  });
  if (!binary) throw new Error(`Cannot compile bench/roofs/peak.as.ts: ${messages || error?.message}`);
  return binary;
}

/** Starts `threads` threads, this one included. */
export async function createPeak(threads: number): Promise<Peak> {
  const module = await WebAssembly.compile(await compile());
  const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  const shared = new SharedArrayBuffer(24);
  const state = new Int32Array(shared);
  const constants = { rounds: ROUNDS, factor: FACTOR, offset: OFFSET, start: START };
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
  function burst(loop: keyof typeof loopNumber, taking: number, count = 0, repeats = 0): number {
    Atomics.store(state, THREADS, taking);
    Atomics.store(state, LOOP, loopNumber[loop]);
    Atomics.store(state, COUNT, count);
    Atomics.store(state, REPEATS, repeats);
    Atomics.store(state, DONE, 1);
    const start = performance.now();
    Atomics.add(state, STARTED, 1);
    Atomics.notify(state, STARTED);
    if (loop === "triad") exports.triad(START, count, repeats, FACTOR);
    else exports[loop](ROUNDS, FACTOR, OFFSET);
    while (Atomics.load(state, DONE) < taking);
    return (performance.now() - start) / 1000;
  }
  return {
    loops: hasRelaxedSimd() ? ["fused", "plain"] : ["plain"],
    measure(loop, taking) {
      const seconds = Math.min(...Array.from({ length: BURSTS }, () => burst(loop, taking)));
      return taking * ROUNDS * exports.flopOfRound() / seconds;
    },
    bandwidth(bytes, taking) {
      const count = Math.floor(bytes / taking / ARRAYS / 64) * 16;
      const moved = 4 * ARRAYS * count * taking;
      const repeats = Math.ceil(BURST_BYTES / moved);
      // The first burst fetches what memory an engine hands out only when it is touched.
      burst("triad", taking, count, repeats);
      const seconds = Array.from({ length: BANDWIDTH_BURSTS }, () => burst("triad", taking, count, repeats));
      return repeats * moved / Math.min(...seconds);
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
    },
  };
}
