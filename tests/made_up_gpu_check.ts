// What `deno task gpu:check` could have found on a GPU that does not exist, for tests of what it says.
import { type GpuCheck, parts } from "../bench/gpu_check/schema.ts";

/** A check of a made-up GPU: two kernels, the slower one at a quarter of its roofline. */
export const madeUpCheck: GpuCheck = {
  machine: "a machine",
  date: "2026-11-29",
  command: "deno task gpu:check",
  seconds: 12,
  adapter: {
    name: "Made <up>",
    software: false,
    arithmetic: "fused multiply-add",
    limits: { maxBufferSize: 2 ** 28 },
    features: ["timestamp-query"],
  },
  parts: [...parts],
  roof: {
    flopPerSecond: 1e13,
    bandwidths: [2 ** 19, 2 ** 22, 2 ** 25, 2 ** 28].map((bytes) => ({ bytes, bytesPerSecond: 1e12 })),
    launchSeconds: 1e-5,
  },
  kernels: [
    { name: "matmul", cases: 9, wrong: [], checkedAt: "[2, 3], [3, 4]", timed: timed(1e10, 1e6, 4e-3, 1e-3) },
    { name: "binary", cases: 3, wrong: [], checkedAt: "[8], [8]", timed: timed(1e6, 12e6, 1.5e-5, 1.2e-5) },
    { name: "count", cases: 2, wrong: [], checkedAt: null, timed: timed(0, 1e6, 1e-5, 1e-6) },
    { name: "to_half", cases: 2, wrong: [], checkedAt: null, timed: null },
  ],
  products: [{ name: "64 x 64 x 64", flop: 2 * 64 ** 3, seconds: 1e-4, ofPeak: 0.01 }],
  blocks: [],
  compared: [{
    name: "a block",
    precision: "half",
    cpuLosses: [2, 1],
    gpuLosses: [2, 1.001],
    apart: 1e-3,
    allowed: 1e-2,
    cpuSeconds: 1,
    gpuSeconds: 0.1,
  }],
  pytorch: null,
  failed: [],
  leftOut: ["the same block in PyTorch: it has no PyTorch"],
};

function timed(flop: number, bytes: number, seconds: number, leastSeconds: number) {
  return { at: "[2, 3], [3, 4]", flop, bytes, seconds, leastSeconds };
}
