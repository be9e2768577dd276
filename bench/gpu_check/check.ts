// One check of one adapter, part by part, until it is done or its time is up.
import { cpu } from "../../cpu/backend.ts";
import { findAdapter } from "../../gpu/adapter.ts";
import { webgpu, type WebgpuBackend } from "../../gpu/backend.ts";
import { binary } from "../../kernels/binary/kernel.ts";
import { bestPerCall } from "../repeat.ts";
import { readGpuRoofs } from "../roofs/gpu_roof.ts";
import { type Roof, roofOf } from "../roofs/roof.ts";
import { createRows } from "../rows.ts";
import { checkKernels } from "./kernels.ts";
import { compareBlock, compareSteps } from "./losses.ts";
import { onHardware, onSoftware, type Plan } from "./plan.ts";
import type { GpuCheck, Part } from "./schema.ts";
import { timeBlocks, timeProducts, timePytorch } from "./speeds.ts";

/** What a user chooses. */
export interface Choice {
  readonly parts: readonly Part[];
  readonly python: string;
  /** Seconds after which nothing new is begun. */
  readonly seconds: number;
  say(text: string): void;
}

/** What is found, but for where and when. */
export type Found = Omit<GpuCheck, "machine" | "date" | "command" | "seconds">;

/** @throws {Error} when there is no adapter. */
export async function checkGpu({ parts, python, seconds, say }: Choice): Promise<Found> {
  using host = await cpu();
  const start = performance.now();
  const [leftOut, failed]: string[][] = [[], []];
  const { adapter, roof, launchSeconds } = await opened(say);
  const plan: Plan = {
    ...adapter.software ? onSoftware : onHardware,
    parts,
    python,
    isLate: () => (performance.now() - start) / 1000 > seconds,
    leaveOut: (what) => leftOut.push(what),
    fail: (what, error) => failed.push(`${what}: ${error instanceof Error ? error.message : error}`),
    say,
  };
  /** A part, with a device of its own: what one part breaks is whole for the next. */
  const during = async <T>(part: Part, otherwise: T, body: (backend: WebgpuBackend) => Promise<T>) => {
    if (!parts.includes(part)) return otherwise;
    if (plan.isLate()) {
      plan.leaveOut(`${part}: there was no time left`);
      return otherwise;
    }
    try {
      using backend = await webgpu();
      return await body(backend);
    } catch (error) {
      plan.fail(part, error);
      return otherwise;
    }
  };
  // What a user asks first comes first: is it right, and is it fast where it counts. Kernels take what time is left.
  const block = await during("block", [], (backend) => compareBlock(host, backend, plan.compared));
  const steps = await during("steps", [], (backend) => compareSteps(host, backend, plan));
  const products = await during("products", [], (backend) => timeProducts(backend, roof, plan));
  const blocks = await during("block", [], (backend) => timeBlocks(backend, roof, plan));
  const pytorch = await during("pytorch", null, (backend) => timePytorch(backend, roof, plan));
  const kernels = await during("kernels", [], () => checkKernels(roof, plan));
  return {
    adapter,
    parts: [...parts],
    roof: { flopPerSecond: roof.flopPerSecond, bandwidths: [...roof.bandwidths], launchSeconds },
    kernels,
    products,
    blocks,
    compared: [...block, ...steps],
    pytorch,
    failed,
    leftOut,
  };
}

async function opened(say: (text: string) => void) {
  using backend = await webgpu();
  const adapter = await factsOf(backend);
  say(`${adapter.name}: reading its limits ...`);
  return { adapter, ...await readRoof(backend, adapter.software ? 1 : 2) };
}

async function factsOf(backend: WebgpuBackend): Promise<Found["adapter"]> {
  const found = await findAdapter();
  const limits: Record<string, number> = {};
  // Limits are getters of the prototype.
  for (const name in found!.adapter.limits) {
    const value = Number(found!.adapter.limits[name as keyof GPUSupportedLimits]);
    if (Number.isFinite(value)) limits[name] = value;
  }
  return {
    name: found!.facts.name,
    software: backend.software,
    arithmetic: backend.arithmetic.fusedMultiplyAdd ? "fused multiply-add" : "no fused multiply-add",
    limits,
    features: [...found!.adapter.features].sort(),
  };
}

/** The best of some readings, and the seconds of a dispatch that has next to nothing to do. */
async function readRoof(
  backend: WebgpuBackend,
  rounds: number,
): Promise<{ roof: Roof; launchSeconds: number }> {
  const rows = createRows();
  for (let round = 0; round < rounds; round++) {
    for (const [name, figures] of Object.entries(await readGpuRoofs(backend))) {
      rows.add({ group: "roof", name, on: "gpu" }, figures);
    }
  }
  const one = backend.upload(Float32Array.of(1), [1]);
  const run = () => backend.free(backend.run(binary, [one, one], { op: "add" })[0]);
  run();
  const launchSeconds = await bestPerCall(backend, run, 2, 0.02);
  backend.free(one);
  return { roof: roofOf(rows.all(), "gpu")!, launchSeconds };
}
