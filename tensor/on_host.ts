// What a GPU has no program for, on purpose: a search whose every step waits for the one before. Its inputs are read once,
// solved on one CPU thread and sent back; whoever calls this says so, and the backend counts the read.
// Why: docs/decisions/solvers_on_the_host.md.
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import type { Backend, HostArray } from "../kernels/kernel.ts";
import { contextOf, fork } from "./context.ts";
import { memory } from "./memory.ts";
import { stopGradient, type Tensor, tensor } from "./tensor.ts";

/** One for each device that ever asked; it has no threads to end and goes when that device does. */
const hosts = new WeakMap<Backend, Promise<CpuBackend>>();

/** A handle of its own for each call: calls that overlap share the host and no scope. */
async function hostOf(backend: Backend): Promise<CpuBackend> {
  const { device } = contextOf(backend);
  let host = hosts.get(device);
  if (!host) hosts.set(device, host = cpu({ threads: 1 }));
  return fork(await host);
}

/**
 * Runs `solve` on the CPU wherever its inputs lie, and returns its results where they lie. On the CPU backend that is a
 * plain call. On WebGPU all inputs are read with one wait, `solve` gets copies on a CPU backend of one thread that is
 * opened when first needed, and results are uploaded. No gradient passes.
 * @param inputs One or more, on one backend.
 * @example
 * ```ts
 * import { cpu, multiply, onHost, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x = tensor(backend, [1, 2, 3], [3]);
 * const [square] = await onHost([x], ([x]) => [multiply(x, x)]);
 * assertEquals(await square.read(), Float32Array.of(1, 4, 9));
 * backend.close();
 * ```
 */
export async function onHost(
  inputs: readonly Tensor[],
  solve: (inputs: readonly Tensor[]) => readonly Tensor[],
): Promise<readonly Tensor[]> {
  const [{ backend }] = inputs;
  if (backend.name === "cpu") return solve(inputs.map(stopGradient));
  const [host, ...values] = await Promise.all([hostOf(backend), ...inputs.map((input) => input.read())]);
  const found = await solveOn(
    host,
    () => solve(inputs.map(({ shape }, at) => tensor(host, values[at], shape))),
  );
  return found.map(({ values, shape }) => tensor(backend, values, shape));
}

/** What is made on the host goes at once; the results are the caller's scope's. */
async function solveOn(
  host: CpuBackend,
  solve: () => readonly Tensor[],
): Promise<{ readonly values: HostArray; readonly shape: readonly number[] }[]> {
  using _scope = memory(host);
  return await Promise.all(solve().map(async (one) => ({ values: await one.read(), shape: one.shape })));
}
