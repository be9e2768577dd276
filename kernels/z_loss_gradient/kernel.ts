// Gradient of the z-loss for logits, through their log sums of exponentials.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]) {
  if (inputs.length !== 4 && inputs.length !== 5) {
    throw new TypeError(`Cannot run z_loss_gradient: it takes 4 or 5 inputs, not ${inputs.length}`);
  }
  const patterns = ["f32 TE", "f32 T", "f32 L", "f32 L", "f32 T"].slice(0, inputs.length);
  const bound = match("z_loss_gradient", inputs, patterns);
  if (bound.L !== 1) throw new RangeError(`Cannot run z_loss_gradient: ${bound.L} losses, there must be one`);
  return bound;
}

/** Past this size, z keeps too little of the logarithm of the row's sum, and the row is summed anew. */
const APART = 256;

function ownNormalizer(row: Float64Array): [number, number] {
  const shift = row.reduce((most, value) => Math.max(most, value), -Infinity);
  return [shift, Math.log(row.reduce((sum, value) => sum + Math.exp(value - shift), 0))];
}

export const zLossGradient: Kernel<Record<string, never>> = {
  name: "z_loss_gradient",
  about: "dx[t,e] = g slope z[t] exp(x[t,e] - z[t]), times real[t] if there is a mask.",
  outputs(inputs) {
    bind(inputs);
    return [inputs[0]];
  },
  reference([x, z, slope, g, real], [dx], types) {
    const { T, E } = bind(types);
    for (let i = 0; i < T * E; i++) {
      const t = Math.floor(i / E);
      const [shift, log] = Math.abs(z[t]) > APART
        ? ownNormalizer(Float64Array.from(x.subarray(t * E, (t + 1) * E)))
        : [0, z[t]];
      dx[i] = g[0] * slope[0] * z[t] * (real ? real[t] : 1) * Math.exp(x[i] - shift - log);
    }
  },
  wasm: "zLossGradient",
  cpu(inputs) {
    const { T, E } = bind(inputs);
    const masked = Number(inputs.length === 5);
    return {
      units: T,
      grain: Math.max(1, Math.floor(8192 / Math.max(4, E))),
      // The program finds its whole numbers behind room for six addresses.
      integers: [...(masked ? [] : [0]), E, masked],
    };
  },
  wgsl: [math + program],
  gpu(inputs, _params, facts) {
    const { T, E } = bind(inputs);
    const masked = inputs.length === 5;
    return {
      passes: [{
        program: math + program,
        reads: [0, 1, 2, 3, masked ? 4 : 1],
        constants: { MASKED: Number(masked) },
        integers: [T * E, E],
        workgroups: forEach(T * E, facts),
      }],
    };
  },
  cost(inputs) {
    const { T, E } = bind(inputs);
    return { flop: 25 * T * E, bytes: bytesOf(...inputs, inputs[0]) };
  },
  // A difference of numbers up to 8 is off by 8 roundings of 1, the exponential by 2; then four products.
  rounding: () => 14,
  cases: [
    gradientCase("odd size", 13, 7),
    gradientCase("padding", 40, 8, [1, 0, 1, 1]),
    gradientCase("many rows", 1500, 5),
    gradientCase("one element", 1, 1),
    gradientCase("no rows", 0, 4),
    gradientCase("no columns", 3, 0),
  ],
};

function gradientCase(about: string, T: number, E: number, real?: number[]): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(T, E), fill: { kind: "uniform", low: -4, high: 2 } },
      { type: f32(T), fill: { kind: "uniform", low: 2, high: 4 } },
      { type: f32(1), fill: { kind: "values", values: [0.25] } },
      { type: f32(1), fill: { kind: "values", values: [1.5] } },
      ...(real ? [{ type: f32(T), fill: { kind: "values", values: real } } as const] : []),
    ],
    params: {},
  };
}
