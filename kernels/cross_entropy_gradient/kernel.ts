// Gradient of `cross_entropy` with respect to the logits, from the normalizer it kept.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import own from "./gpu.wgsl" with { type: "text" };
import twoArrays from "./gpu_apart.wgsl" with { type: "text" };
import oneArray from "./gpu_over.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };

const EXP_FLOP = 20;
const apart = math + own + twoArrays;
const inPlace = math + own + oneArray;

function bind(inputs: readonly ArrayType[]): { T: number; V: number } {
  const { T, V, P } = match("cross_entropy_gradient", inputs, ["f32 TV", "i32 T", "f32 TP", "f32 T"]);
  if (P !== 2) throw new RangeError(`Cannot run cross_entropy_gradient: input 2 has ${P} columns, not 2`);
  return { T, V };
}

export const crossEntropyGradient: Kernel<Record<string, never>> = {
  name: "cross_entropy_gradient",
  about:
    "dlogits[T,V] = g (e^((logits - first) - second) - [v = target]); 0 where the target is outside 0..V-1.",
  outputs(inputs) {
    const { T, V } = bind(inputs);
    return [f32(T, V)];
  },
  reference([logits, target, normalizer, g], [dlogits], types) {
    const { T, V } = bind(types);
    for (let t = 0; t < T; t++) {
      if (target[t] < 0 || target[t] >= V) continue;
      for (let v = 0; v < V; v++) {
        const probability = Math.exp(logits[t * V + v] - normalizer[2 * t] - normalizer[2 * t + 1]);
        dlogits[t * V + v] = g[t] * (probability - (v === target[t] ? 1 : 0));
      }
    }
  },
  wasm: "crossEntropyGradient",
  replaces: () => [0],
  cpu(inputs) {
    const { T, V } = bind(inputs);
    return { units: T, grain: grainFor(V + 20), integers: [V] };
  },
  wgsl: [apart, inPlace],
  gpu(inputs, _params, facts) {
    const { T, V } = bind(inputs);
    const common = { integers: [T * V, V], workgroups: forEach(T * V, facts) };
    return {
      passes: [{ ...common, program: apart }],
      over: [{ ...common, program: inPlace, reads: [1, 2, 3], writes: [4] }],
    };
  },
  cost(inputs) {
    const { T, V } = bind(inputs);
    return { flop: T * V * (EXP_FLOP + 2), bytes: bytesOf(...inputs, f32(T, V)) };
  },
  // The exponential (1 ulp) of a rounded difference d, which counts |d| e^d < 1 times for any logsumexp of the logits;
  // then a product, and a difference at the target.
  rounding: () => 6,
  cases: [
    gradientCase("odd size", 5, 7),
    gradientCase("one token", 1, 33),
    gradientCase("one word", 6, 1),
    gradientCase("no tokens", 0, 9),
    gradientCase("many tokens", 700, 17),
    gradientCase("several blocks", 3, 2053),
    gradientCase("large logits", 9, 31, 1e3),
  ],
};

/** A normalizer about as large as logits of that scale have; it need not be theirs. */
function gradientCase(about: string, T: number, V: number, scale = 1): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(T, V), fill: { kind: "normal", scale } },
      { type: i32(T), fill: { kind: "integers", low: -1, below: V } },
      { type: f32(T, 2), fill: { kind: "uniform", low: 2 * scale, high: 2.5 * scale } },
      { type: f32(T), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
