// A reading of how fast this machine is now: a matrix product and a pass over memory, on the CPU and on a GPU. Results
// are checked; for figures to rely on there is `deno task bench`.
import { cpu, type CpuBackend } from "../../cpu/backend.ts";
import type { Blas } from "../../cpu/blas/measurement.ts";
import type { Tile } from "../../cpu/tiles.ts";
import { webgpu } from "../../gpu/backend.ts";
import type { Backend, Buffer, Kernel } from "../../kernels/kernel.ts";
import { affine, matmul } from "../../kernels/mod.ts";

/** Operations or bytes a second. */
export interface Reading {
  readonly about: string;
  readonly unit: "flop" | "bytes";
  readonly perSecond: number;
  /** Register tile that products took, where it was measured. */
  readonly tile?: Tile;
}

const SIDE = 768;
const ONES = 2 ** 24;

/** A kernel on arrays of ones, and the one value that every element of its result has. */
interface Work<P> {
  readonly kernel: Kernel<P>;
  readonly inputs: readonly Buffer[];
  readonly params: P;
  readonly value: number;
}

function product(backend: Backend): Work<{ transposeA: boolean; transposeB: boolean }> {
  const ones = () => backend.upload(new Float32Array(SIDE * SIDE).fill(1), [SIDE, SIDE]);
  return {
    kernel: matmul,
    inputs: [ones(), ones()],
    params: { transposeA: false, transposeB: false },
    value: SIDE,
  };
}

function copy(backend: Backend): Work<{ scale: number; shift: number }> {
  const ones = backend.upload(new Float32Array(ONES).fill(1), [ONES]);
  return { kernel: affine, inputs: [ones], params: { scale: 2, shift: 1 }, value: 3 };
}

/** Repeats work for so many seconds: the middle one of several rates, each over as many calls as one wait deserves. */
async function measure<P>(
  backend: Backend,
  { kernel, inputs, params, value }: Work<P>,
  unit: Reading["unit"],
  seconds: number,
): Promise<number> {
  const types = inputs.map(({ type }) => type);
  const each = kernel.cost(types, params)[unit];
  const small = backend.upload(Float32Array.of(0), [1]);
  const wait = () => backend.name === "cpu" ? Promise.resolve() : backend.read(small);
  const timed = async (calls: number) => {
    const start = performance.now();
    for (let call = 0; call < calls; call++) backend.free(backend.run(kernel, inputs, params)[0]);
    await wait();
    return (performance.now() - start) / 1000;
  };
  const [first] = backend.run(kernel, inputs, params);
  const values = await backend.read(first);
  if (values.some((found) => found !== value)) {
    throw new Error(`Cannot time ${kernel.name} on ${backend.arithmetic.device}: its result is wrong`);
  }
  backend.free(first);
  const waiting = Math.min(await timed(0), await timed(0));
  const share = seconds / 5;
  const calls = Math.max(1, Math.floor(share / Math.max(1e-5, await timed(1) - waiting)));
  const rates: number[] = [];
  const end = performance.now() + 1000 * seconds;
  do {
    rates.push(calls * each / Math.max(1e-9, await timed(calls) - waiting));
  } while (performance.now() < end);
  for (const buffer of [...inputs, small]) backend.free(buffer);
  return rates.sort((a, b) => a - b)[rates.length >> 1];
}

/** The tile that a backend chooses, after enough small products; null where it has not chosen after a thousand. */
async function measuredTile(backend: CpuBackend): Promise<Tile | null> {
  const operand = backend.upload(new Float32Array(192 * 192).fill(1), [192, 192]);
  for (let at = 0; at < 1000 && backend.tile() === null; at++) {
    backend.free(backend.run(matmul, [operand, operand], { transposeA: false, transposeB: false })[0]);
    // Engines optimise programs meanwhile.
    if (at % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  backend.free(operand);
  return backend.tile();
}

/** All readings, in about so many seconds, of what there is besides the CPU backend alone. */
export async function readSpeed(
  seconds: number,
  there: { readonly webgpu: boolean; readonly blas: Blas | null },
): Promise<Reading[]> {
  const threads = Math.min(64, navigator.hardwareConcurrency);
  const readings: Reading[] = [];
  const counts = [...new Set([1, threads])];
  const share = seconds / (2 * counts.length + (there.webgpu ? 3 : 0) + (there.blas ? 1 : 0));
  const add = async <P>(
    about: string,
    unit: Reading["unit"],
    backend: Backend,
    work: Work<P>,
    part: number,
  ) => {
    readings.push({ about, unit, perSecond: await measure(backend, work, unit, part) });
  };
  for (const count of counts) {
    using backend = await cpu({ threads: count });
    const on = `CPU, ${count} thread${count === 1 ? "" : "s"}`;
    await add(`product, ${on}`, "flop", backend, product(backend), share);
    const tile = await measuredTile(backend);
    readings.push({ ...readings.pop()!, ...(tile === null ? {} : { tile }) });
    await add(`memory, ${on}`, "bytes", backend, copy(backend), share);
  }
  if (there.blas) {
    using backend = await cpu({ threads, blas: there.blas });
    await add("product, BLAS", "flop", backend, product(backend), share);
  }
  if (there.webgpu) {
    const backend = await webgpu();
    await add("product, WebGPU", "flop", backend, product(backend), 1.5 * share);
    await add("memory, WebGPU", "bytes", backend, copy(backend), 1.5 * share);
    backend.close();
  }
  return readings;
}
