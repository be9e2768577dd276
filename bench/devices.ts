// What benches run on: the CPU once for each number of threads, or a WebGPU adapter. The only place that opens backends.
import { cpu, type CpuOptions } from "../cpu/backend.ts";
import { webgpu } from "../gpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";

/** A device to time on. */
export interface Device extends Disposable {
  /** As shown: `2 threads`, or the adapter's name. */
  readonly name: string;
  readonly backend: Backend;
  /** Threads that compute; 0 where that says nothing. */
  readonly threads: number;
  /** The most bytes that arrays took at once since the device was opened; on WebGPU the blocks they lie in. */
  peakBytes(): number;
  /** Bytes of memory taken in all: arrays, gaps between them and, on the CPU, scratch of each thread. */
  heldBytes(): number;
  /** Seconds by kernel since the start, by the device's own clock; null where `run` itself is the clock. */
  kernelSeconds(): Readonly<Record<string, number>> | null;
}

const names = ["cpu", "webgpu"] as const;

/** Kind of a device. */
export type DeviceKind = typeof names[number];

/** @throws {RangeError} when there is no device of that name. */
export function findDeviceKind(name: string): DeviceKind {
  const found = names.find((each) => each === name);
  if (found) return found;
  throw new RangeError(`Cannot use --device ${name}: there are ${names.join(", ")}`);
}

/** `off`, `auto` or a library's path, as the backend takes it. */
export type BlasChoice = NonNullable<CpuOptions["blas"]>;

/**
 * The CPU with so many threads.
 * @throws {Error} when `blas` is a path and what is there cannot be used, or fewer threads come up: timings would be theirs.
 */
export async function openCpu(threads: number, blas: BlasChoice = "off"): Promise<Device> {
  const backend = await cpu({ threads, blas });
  if (backend.threads < threads) {
    backend.close();
    throw new Error(`Cannot time ${threads} threads: ${backend.notes.join("; ")}`);
  }
  // What the backend itself keeps for its threads is no array.
  const own = backend.statistics().usedBytes;
  let peakBytes = 0;
  // Whenever a kernel has run, its scratch is given back and its inputs are still there.
  const noted = <T>(made: T): T => {
    peakBytes = Math.max(peakBytes, backend.statistics().usedBytes - own);
    return made;
  };
  const library = backend.arithmetic.blas === undefined ? "" : `, BLAS ${backend.arithmetic.blas}`;
  return {
    name: (threads === 1 ? "1 thread" : `${threads} threads`) + library,
    backend: {
      ...backend,
      upload: (values, shape) => noted(backend.upload(values, shape)),
      run: (kernel, inputs, params, over) => noted(backend.run(kernel, inputs, params, over)),
    },
    threads,
    peakBytes: () => peakBytes,
    heldBytes: () => backend.statistics().carvedBytes,
    kernelSeconds: () => null,
    [Symbol.dispose]: () => backend.close(),
  };
}

/** The WebGPU adapter; `profile` has it time every kernel, which slows all of them. @throws {Error} when there is none. */
export async function openWebgpu(profile: boolean): Promise<Device> {
  const backend = await webgpu({ profile });
  return {
    name: backend.arithmetic.device,
    backend,
    threads: 0,
    peakBytes: () => backend.statistics().heldBytes,
    heldBytes: () => backend.statistics().heldBytes,
    kernelSeconds: () => backend.statistics().kernelSeconds,
    [Symbol.dispose]: () => backend.close(),
  };
}

/** The devices of a choice, in the order they are shown. */
export function openDevices(
  kind: DeviceKind,
  threads: readonly number[],
  blas: BlasChoice,
): Promise<Device[]> {
  return Promise.all(kind === "cpu" ? threads.map((each) => openCpu(each, blas)) : [openWebgpu(false)]);
}
