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
import { createHeap, type HeapStatistics } from "./heap.ts";
import { type Exports, loadModule } from "./module.ts";
import { startWorker } from "./threads.ts";
import { programs } from "./wasm.ts";

/** Choices for {@linkcode cpu}. */
export interface CpuOptions {
  /** Threads, this one included; 1 to 64. Default: the number of logical cores. Results do not depend on it. */
  readonly threads?: number;
  /** `false` runs the plain-SIMD programs even where the engine has relaxed multiply-add. */
  readonly relaxed?: boolean;
  /** `false` runs without SharedArrayBuffer, on one thread. */
  readonly shared?: boolean;
}

/** A CPU backend: a {@linkcode Backend} that says what it uses. */
export interface CpuBackend extends Backend, Disposable {
  readonly name: "cpu";
  /** Threads at work, this one included. */
  readonly threads: number;
  /** Bytes in use now and at the peak. */
  statistics(): HeapStatistics;
  /** Ends the worker threads; nothing can be uploaded or run afterwards. `using` a backend closes it too. */
  close(): void;
}

interface CpuBuffer extends Buffer {
  readonly address: number;
}

const DTYPES: readonly DType[] = ["f32", "i32"];
const LIST_WORDS = 64;
const CONTROL_BYTES = 512;

/**
 * Opens the CPU backend; it needs no permission.
 * @throws {RangeError} when `threads` is not a whole number from 1 to 64.
 * @example
 * ```ts
 * import { cpu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const buffer = backend.upload(Float32Array.of(1, 2, 3), [3]);
 * assertEquals(await backend.read(buffer), Float32Array.of(1, 2, 3));
 * backend.close();
 * ```
 */
export async function cpu(options: CpuOptions = {}): Promise<CpuBackend> {
  const wanted = options.threads ?? Math.min(64, globalThis.navigator?.hardwareConcurrency ?? 1);
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > 64) {
    throw new RangeError(`Cannot start ${wanted} threads: choose a whole number from 1 to 64`);
  }
  const { module, memory, fusedMultiplyAdd, shared } = await loadModule(options);
  const threads = shared ? wanted : 1;
  const imports = {
    env: {
      memory,
      abort: () => {
        throw new Error("the WebAssembly module aborted");
      },
    },
  };
  const exports = (await WebAssembly.instantiate(module, imports)).exports as unknown as Exports;
  const heap = createHeap(memory, exports.heapBase());
  const control = heap.allocate(CONTROL_BYTES);
  const list = heap.allocate(4 * LIST_WORDS);
  const scratchBytes = exports.scratchBytes();
  exports.attach(control, heap.allocate(scratchBytes));
  if (threads > 1) {
    const started = new SharedArrayBuffer(4);
    for (let thread = 1; thread < threads; thread++) {
      startWorker({ module, memory, control, scratch: heap.allocate(scratchBytes), started });
    }
  }

  const programNumber = new Map(programs.map((name, at) => [name, at]));
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
    const address = heap.allocate(4 * sizeOf(type.shape));
    refresh();
    return { type, address };
  }

  function view(buffer: Buffer): HostArray {
    const at = address(buffer) >>> 2;
    return (buffer.type.dtype === "f32" ? floats : words).subarray(at, at + sizeOf(buffer.type.shape));
  }

  function close(): void {
    if (open && threads > 1) exports.quit();
    open = false;
  }

  return {
    name: "cpu",
    threads,
    arithmetic: { device: "cpu", fusedMultiplyAdd },
    dtypes: DTYPES,
    upload(values, shape) {
      if (!open) throw new TypeError("Cannot upload: the CPU backend is closed");
      if (shape.some((dimension) => !Number.isInteger(dimension) || dimension < 0)) {
        throw new RangeError(`Cannot upload shape ${shapeText(shape)}: dimensions are whole numbers from 0`);
      }
      if (values.length !== sizeOf(shape)) {
        throw new RangeError(`Cannot upload ${values.length} values as shape ${shapeText(shape)}`);
      }
      const buffer = allocate({ dtype: values instanceof Float32Array ? "f32" : "i32", shape: [...shape] });
      view(buffer).set(values);
      return buffer;
    },
    run<P>(kernel: Kernel<P>, inputs: readonly Buffer[], params: P): Buffer[] {
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
      const types = inputs.map((input) => input.type);
      const outputs = kernel.outputs(types, params).map(allocate);
      const { units, grain, integers = [], floats: reals = [] } = kernel.cpu(types, params);
      let at = list >>> 2;
      for (const input of inputs) words[at++] = address(input);
      for (const output of outputs) words[at++] = output.address;
      for (const value of integers) words[at++] = value;
      for (const value of reals) floats[at++] = value;
      exports.run(program, units, chunk(units, grain), list, threads);
      return outputs;
    },
    read(buffer) {
      return Promise.resolve(view(buffer).slice());
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
    statistics: () => heap.statistics(),
    close,
    [Symbol.dispose]: close,
  };
}

function address(buffer: Buffer): number {
  return (buffer as CpuBuffer).address;
}

/** Chunk size: at least `grain`, and few enough chunks that taking them costs nothing. */
function chunk(units: number, grain: number): number {
  return Math.max(grain, Math.ceil(units / 64));
}
