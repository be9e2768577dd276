// The CPU backend: every array lives in one WebAssembly heap, every kernel is a program of one WebAssembly module, and
// threads share both. `run` computes before it returns, so `read` never waits.
import {
  type ArrayType,
  type Backend,
  type Buffer,
  type DType,
  type HostArray,
  type Kernel,
  shapeText,
  sizeOf,
} from "../kernels/kernel.ts";
import { originOf } from "./blas/binding.ts";
import { findBlas } from "./blas/find.ts";
import type { Blas, NoBlas } from "./blas/measurement.ts";
import { openTold } from "./blas/open.ts";
import { createHeap, type HeapStatistics } from "./heap.ts";
import { createLaunches } from "./launches.ts";
import { type Exports, loadModule } from "./module.ts";
import { type OpenMemory, sizeText } from "./memory.ts";
import { startThreads, type ThreadStart } from "./threads.ts";
import { chooseTile, type Tile, tiles } from "./tiles.ts";
import { programs } from "./wasm.ts";

/** Choices for {@linkcode cpu}. */
export interface CpuOptions {
  /** Threads, this one included; 1 to 64. Default: the number of logical cores. Results do not depend on it. */
  readonly threads?: number;
  /** `false` runs the plain-SIMD programs even where the engine has relaxed multiply-add. */
  readonly relaxed?: boolean;
  /** `false` runs without shared memory, on one thread; `true` is an error where there is none. Default: where there is. */
  readonly shared?: boolean;
  /**
   * Starts one thread, and is called for each beyond the first. Default: `startThread`, which opens a worker from here. In a
   * worker of a page it can hand the job to the page, since not every browser lets a worker start workers reliably:
   * `cpu({ startThread: (start) => postMessage(start) })` there, `worker.onmessage = ({ data }) => startThread(data)` in the
   * page. What it throws is why the thread is missing; a promise is waited for.
   */
  readonly startThread?: (start: ThreadStart) => unknown;
  /**
   * Matrix products on a BLAS (OpenBLAS, MKL, BLIS, oneDNN, Accelerate) or onnxruntime, which needs Deno's FFI permission: a
   * path, `auto` for the fastest there is, what {@linkcode findBlas} found, or `off` (default). The last bits of results
   * depend on it, but not on the number of threads.
   */
  readonly blas?: string | Blas | NoBlas;
  /** Products of fewer multiply-adds (M x N x K) stay in WebAssembly. Default: from where a call of the library pays. */
  readonly leastBlasProduct?: number;
  /**
   * Register tile of products in WebAssembly, rows by columns. Default: the faster one, which is measured on the first
   * products; with a BLAS 6x8, unmeasured. Results are the same bits.
   */
  readonly tile?: Tile;
}

/** A CPU backend: a {@linkcode Backend} that says what it uses. */
export interface CpuBackend extends Backend, Disposable {
  /** Always "cpu". */
  readonly name: "cpu";
  /** Threads at work, this one included: those that came up. */
  readonly threads: number;
  /** Bytes that arrays may take together, at most. */
  readonly heapBytes: number;
  /** What is less than was asked for, and why, a sentence each: fewer threads, a smaller heap. */
  readonly notes: readonly string[];
  /** The BLAS that products run on, or why there is none; null where none was asked for. */
  readonly blas: Blas | NoBlas | null;
  /** The register tile of products in WebAssembly; null while the first products are measured. */
  tile(): Tile | null;
  /** Bytes in use now and at the peak. */
  statistics(): HeapStatistics;
  /** Ends the worker threads; nothing can be uploaded or run afterwards. `using` a backend closes it too. */
  close(): void;
}

interface CpuBuffer extends Buffer {
  readonly address: number;
}

const DTYPES: readonly DType[] = ["f32", "i32"];
/** Words of the list that a program reads, at first: enough for an optimizer's step over some 200 arrays. */
const LIST_WORDS = 2048;
const CONTROL_BYTES = 512;
/** Where programs that asked for no scratch have it: past the end of memory, so that using it is an error. */
const NOWHERE = -64;

/**
 * Opens the CPU backend; it needs no permission, unless it is to use BLAS.
 * @throws {RangeError} when `threads`, `leastBlasProduct` or `tile` is none that there is; {Error} when `blas` is a path and what is there
 * cannot be used, or `shared` is true and memory cannot be shared. With `auto` there is no error: `arithmetic.blas` says what
 * is used, or why nothing is. Fewer threads than were asked for are no error either: `notes` says why.
 * @example
 * ```ts
 * import { cpu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const buffer = backend.upload(Float32Array.of(1, 2, 3), [3]);
 * assertEquals(await backend.read(buffer), Float32Array.of(1, 2, 3));
 * backend.close();
 *
 * // With --allow-ffi and a library, products run on it.
 * const fast = await cpu({ threads: 1, blas: "auto" });
 * console.log(fast.arithmetic.blas); // OpenBLAS 0.3.21 Haswell, say, or: none (FFI is not permitted (--allow-ffi))
 * fast.close();
 * ```
 */
export async function cpu(options: CpuOptions = {}): Promise<CpuBackend> {
  const wanted = options.threads ?? Math.min(64, globalThis.navigator?.hardwareConcurrency ?? 1);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 64) {
    throw new RangeError(`Cannot start ${wanted} threads: choose a whole number from 1 to 64`);
  }
  const least = options.leastBlasProduct ?? 0;
  if (!Number.isInteger(least) || least < 0 || least >= 2 ** 31) {
    throw new RangeError(
      `Cannot use leastBlasProduct ${least}: choose a whole number from 0 to ${2 ** 31 - 1}`,
    );
  }
  const loaded = await loadModule(options);
  const { module, memory, fusedMultiplyAdd, shared, heapBytes } = loaded;
  const choice = options.blas ?? "off";
  const found = choice === "off" ? null : await chooseBlas(choice, shared ? wanted : 1, shared);
  const blas = found && !("why" in found) ? found : null;
  const leastProduct = options.leastBlasProduct ?? blas?.leastProduct ?? 0;
  const origin = blas ? originOf(memory) : 0n;
  const imports = {
    env: {
      memory,
      sgemm: blas ? openTold(blas, memory, origin) : () => {
        throw new Error("Cannot multiply on a BLAS: the backend was opened without one");
      },
      abort: () => {
        throw new Error("Cannot go on: the WebAssembly module aborted");
      },
    },
  };
  const exports = (await WebAssembly.instantiate(module, imports)).exports as unknown as Exports;
  const heap = createHeap(memory, exports.heapBase(), heapBytes);
  const control = heap.allocate(CONTROL_BYTES);
  let listWords = LIST_WORDS;
  let list = heap.allocate(4 * listWords);
  exports.attach(control, 0, origin, leastProduct);
  const onThread = blas && { binding: blas, origin, leastProduct };
  const { up, why } = shared && wanted > 1
    ? await startThreads(wanted - 1, { module, memory, control, blas: onThread }, options.startThread)
    : { up: 0, why: loaded.unsharedWhy };
  const threads = 1 + up;

  const programNumber = new Map(programs.map((name, at) => [name, at]));
  const launches = createLaunches();
  // Where a library multiplies, what is left is too little to be measured.
  const tile = chooseTile(options.tile ?? (blas ? tiles[0] : undefined));
  let memoryBuffer = memory.buffer;
  let words = new Int32Array(memoryBuffer);
  let floats = new Float32Array(memoryBuffer);
  let open = true;

  /** Views go stale when the heap grows. */
  function refresh(): void {
    if (memory.buffer === memoryBuffer) return;
    memoryBuffer = memory.buffer;
    words = new Int32Array(memoryBuffer);
    floats = new Float32Array(memoryBuffer);
  }

  function allocate(type: ArrayType): CpuBuffer {
    if (!DTYPES.includes(type.dtype)) {
      throw new TypeError(
        `Cannot place an array of ${type.dtype} on the CPU backend: it stores ${
          DTYPES.join(" and ")
        }; WebGPU stores ${type.dtype} too`,
      );
    }
    return { type, address: heap.allocate(4 * sizeOf(type.shape)) };
  }

  /** The same memory; both are freed. */
  function inPlaceOf(input: Buffer): CpuBuffer {
    heap.share(address(input));
    return { type: input.type, address: address(input) };
  }

  /** A longer list of what a program reads: an optimizer's names every array of a model. */
  function growList(least: number): void {
    heap.release(list);
    listWords = 2 * least;
    list = heap.allocate(4 * listWords);
  }

  /** The array's values in memory, until it grows. */
  function arrayOf({ type: { dtype } }: Buffer): HostArray {
    refresh();
    return dtype === "f32" ? floats : words;
  }

  function close(): void {
    if (open && threads > 1) exports.quit();
    open = false;
  }

  return {
    name: "cpu",
    threads,
    heapBytes,
    notes: notesOn({ threads, wanted, why }, loaded),
    blas: found,
    arithmetic: { device: "cpu", fusedMultiplyAdd, ...(found ? { blas: nameOf(found) } : {}) },
    dtypes: DTYPES,
    upload(values, shape) {
      if (!open) throw new TypeError("Cannot upload: the CPU backend is closed");
      for (const dimension of shape) {
        if (Number.isInteger(dimension) && dimension >= 0) continue;
        throw new RangeError(`Cannot upload shape ${shapeText(shape)}: dimensions are whole numbers from 0`);
      }
      if (values.length !== sizeOf(shape)) {
        throw new RangeError(`Cannot upload ${values.length} values as shape ${shapeText(shape)}`);
      }
      const buffer = allocate({ dtype: values instanceof Float32Array ? "f32" : "i32", shape: [...shape] });
      arrayOf(buffer).set(values, buffer.address >>> 2);
      return buffer;
    },
    run<P>(kernel: Kernel<P>, inputs: readonly Buffer[], params: P, over = false): Buffer[] {
      if (!open) throw new TypeError(`Cannot run ${kernel.name}: the CPU backend is closed`);
      if (!kernel.cpu || !kernel.wasm) {
        throw new TypeError(
          `Cannot run ${kernel.name}: it has no WebAssembly program, only the WebGPU backend runs it`,
        );
      }
      const program = programNumber.get(kernel.wasm);
      if (program === undefined) {
        throw new TypeError(`Cannot run ${kernel.name}: no program named "${kernel.wasm}"`);
      }
      let launch = launches.find(kernel, inputs, params);
      if (!launch) {
        const types = inputs.map(({ type }) => type);
        launch = launches.keep(
          kernel,
          types,
          params,
          kernel.outputs(types, params),
          kernel.cpu(types, params),
        );
      }
      const { outputs: types, units, chunkUnits, scratchBytes, eachScratch } = launch;
      const replaces = over ? launch.replaces : undefined;
      const outputs: CpuBuffer[] = [];
      for (let at = 0; at < types.length; at++) {
        outputs.push(replaces ? inPlaceOf(inputs[replaces[at]]) : allocate(types[at]));
      }
      const scratch = scratchBytes > 0
        ? heap.allocate(units > chunkUnits ? threads * eachScratch : eachScratch)
        : NOWHERE;
      if (launch.words > listWords) growList(launch.words);
      refresh();
      let at = list >>> 2;
      for (const value of launch.leading) words[at++] = value;
      for (const input of inputs) words[at++] = address(input);
      for (const output of outputs) words[at++] = output.address;
      for (const value of launch.integers) words[at++] = value;
      for (const value of launch.floats) floats[at++] = value;
      const measuring = tile.chosen() === null;
      const start = measuring ? performance.now() : 0;
      const taken = tile.next(kernel.wasm, launch);
      exports.run(program, units, chunkUnits, list, threads, scratch, eachScratch, taken);
      if (measuring) tile.took(kernel.wasm, launch, performance.now() - start);
      if (scratch !== NOWHERE) heap.release(scratch);
      return outputs;
    },
    read(buffer) {
      const at = address(buffer) >>> 2;
      return Promise.resolve(arrayOf(buffer).slice(at, at + sizeOf(buffer.type.shape)));
    },
    alias(buffer, shape) {
      if (sizeOf(shape) !== sizeOf(buffer.type.shape)) {
        throw new RangeError(`Cannot view shape ${shapeText(buffer.type.shape)} as ${shapeText(shape)}`);
      }
      const view: CpuBuffer = {
        type: { dtype: buffer.type.dtype, shape: [...shape] },
        address: address(buffer),
      };
      return view;
    },
    free(buffer) {
      heap.release(address(buffer));
    },
    tile: tile.chosen,
    statistics: () => heap.statistics(),
    close,
    [Symbol.dispose]: close,
  };
}

function address(buffer: Buffer): number {
  return (buffer as CpuBuffer).address;
}

/** What falls short of what was asked for. */
function notesOn(
  { threads, wanted, why }: {
    readonly threads: number;
    readonly wanted: number;
    readonly why: string | null;
  },
  { heapBytes, smallWhy }: OpenMemory,
): string[] {
  const notes: string[] = [];
  if (threads < wanted) {
    notes.push(`${threads} thread${threads === 1 ? "" : "s"} instead of ${wanted}: ${why}`);
  }
  if (smallWhy !== null) {
    notes.push(`arrays may take ${sizeText(heapBytes)} together instead of 4 GiB: ${smallWhy}`);
  }
  return notes;
}

/** @throws {Error} when a path cannot be used; `auto` answers with the reason. */
async function chooseBlas(
  choice: string | Blas | NoBlas,
  threads: number,
  shared: boolean,
): Promise<Blas | NoBlas> {
  // Memory that is not shared may move when it grows, and a library is given addresses.
  if (!shared) return refuse(choice, { why: "memory is not shared", opened: false });
  if (typeof choice !== "string") return choice;
  const found = await findBlas({ library: choice, threads });
  return "why" in found ? refuse(choice, found) : found;
}

function refuse(choice: string | Blas | NoBlas, found: NoBlas): NoBlas {
  if (choice === "auto" || typeof choice !== "string") return found;
  throw new Error(
    `Cannot use BLAS library ${choice || '""'}: ${found.why}; choose off, auto or a library's path`,
  );
}

function nameOf(found: Blas | NoBlas): string {
  return "why" in found ? `none (${found.why})` : found.name;
}
