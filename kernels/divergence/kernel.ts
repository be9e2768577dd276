// Kullback-Leibler divergence of rows from target rows given by their logarithms, weighted and summed; and its slope.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { checkTrips } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import { QUOTIENT } from "../parts/accuracy.ts";

/** Keeps 0 log 0 at 0, below the last bit of any probability that counts. */
const TINY = 1e-30;
const code = lanes + math + program;

function bind(inputs: readonly ArrayType[]) {
  return match("divergence", inputs, ["f32 RE", "f32 RE", "f32 R"]);
}

export const divergence: Kernel<Record<string, never>> = {
  name: "divergence",
  about: "Sum over rows of weight[r] sum_e p (log p - target[r,e]), and its derivative by every p.",
  outputs(inputs) {
    const { R, E } = bind(inputs);
    return [f32(1), f32(R, E)];
  },
  reference([p, target, weight], [y, slope], types) {
    const { R, E } = bind(types);
    for (let i = 0; i < R * E; i++) {
      const ratio = Math.log(p[i] + TINY) - target[i];
      const factor = weight[Math.floor(i / E)];
      y[0] += factor * p[i] * ratio;
      slope[i] = factor * (ratio + p[i] / (p[i] + TINY));
    }
  },
  wasm: "divergence",
  cpu(inputs) {
    const { R, E } = bind(inputs);
    return { units: 1, grain: 1, integers: [R, E] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { R, E } = bind(inputs);
    checkTrips("divergence", `${R} rows of ${E}`, Math.ceil(R * E / 64) + 6, facts);
    return { passes: [{ program: code, integers: [R * E, E], workgroups: [1, 1, 1] }] };
  },
  cost(inputs) {
    const { R, E } = bind(inputs);
    return { flop: 36 * R * E, bytes: bytesOf(...inputs, f32(1), f32(R, E)) };
  },
  // A term takes a logarithm (2), a difference, two products; then all are summed.
  rounding(inputs) {
    const { R, E } = bind(inputs);
    return R * E + 7;
  },
  gpuRounding: (inputs, params) => divergence.rounding(inputs, params) + QUOTIENT,
  cases: [
    divergenceCase("odd size", 3, 7),
    divergenceCase("whole vectors", 4, 8),
    divergenceCase("more than a workgroup", 9, 31),
    divergenceCase("zeros", 2, 4, [0, 1, 0, 0]),
    divergenceCase("one element", 1, 1),
    divergenceCase("no rows", 0, 4),
    divergenceCase("no columns", 3, 0),
  ],
};

function divergenceCase(about: string, R: number, E: number, values?: number[]): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      {
        type: f32(R, E),
        fill: values ? { kind: "values", values } : { kind: "uniform", low: 0, high: 2 / Math.max(1, E) },
      },
      { type: f32(R, E), fill: { kind: "uniform", low: -5, high: 0 } },
      { type: f32(R), fill: { kind: "uniform", low: 0, high: 1 } },
    ],
    params: {},
  };
}
