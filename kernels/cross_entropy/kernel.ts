// The language model's loss, one number per token, with what its gradient makes the row's softmax again from. Neither
// probabilities nor their logarithms are stored: at [tokens, vocabulary] they would be the largest arrays of a step.
import { bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forRows } from "../parts/grid.ts";
import { additionsInRow } from "../parts/accuracy.ts";
import { normalizerOf } from "../parts/normalizer.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };
import frame from "../parts/row_logsumexp.wgsl" with { type: "text" };

const EXP_FLOP = 20;
const PATTERNS = ["f32 TV", "i32 T"];

const code = math + lanes + frame + program;

export const crossEntropy: Kernel<Record<string, never>> = {
  name: "cross_entropy",
  about:
    "loss[T] = logsumexp(logits[T,V]) - logits[T, target[T]]; a target outside 0..V-1, such as -1, costs 0. And [T,2]: softmax = e^((logits - first) - second).",
  outputs(inputs) {
    const { T } = match("cross_entropy", inputs, PATTERNS);
    return [f32(T), f32(T, 2)];
  },
  reference([logits, target], [loss, normalizer], types) {
    const { T, V } = match("cross_entropy", types, PATTERNS);
    for (let t = 0; t < T; t++) {
      let largest = -Infinity;
      for (let v = 0; v < V; v++) largest = Math.max(largest, logits[t * V + v]);
      if (largest === -Infinity) largest = 0;
      let sum = 0;
      for (let v = 0; v < V; v++) sum += Math.exp(logits[t * V + v] - largest);
      const logsumexp = largest + Math.log(sum);
      normalizer.set(normalizerOf(largest, Math.log(sum)), 2 * t);
      const counts = target[t] >= 0 && target[t] < V;
      loss[t] = counts ? logsumexp - logits[t * V + target[t]] : 0;
    }
  },
  wasm: "crossEntropy",
  cpu(inputs) {
    const { T, V } = match("cross_entropy", inputs, PATTERNS);
    return { units: T, grain: grainFor(V + 20), integers: [V] };
  },
  wgsl: [code],
  gpu(inputs, _params, facts) {
    const { T, V } = match("cross_entropy", inputs, PATTERNS);
    return { passes: [{ program: code, integers: [T, V], ...forRows(T, V, facts) }] };
  },
  cost(inputs) {
    const { T, V } = match("cross_entropy", inputs, PATTERNS);
    return { flop: T * V * (EXP_FLOP + 3), bytes: bytesOf(...inputs, f32(T), f32(T, 2)) };
  },
  // As for logsumexp. The loss is log(sum) - (logit - largest), so large logits do not cancel.
  rounding(inputs) {
    return Math.ceil(Math.min(1024, match("cross_entropy", inputs, PATTERNS).V) / 8) + 14;
  },
  gpuRounding(inputs) {
    return additionsInRow(match("cross_entropy", inputs, PATTERNS).V) + 14;
  },
  cases: [
    crossEntropyCase("odd size", 5, 7),
    crossEntropyCase("one token", 1, 33),
    crossEntropyCase("one word", 6, 1),
    crossEntropyCase("no tokens", 0, 9),
    crossEntropyCase("many tokens", 700, 17),
    crossEntropyCase("several blocks", 3, 2053),
    crossEntropyCase("large logits", 9, 31, 1e3),
    crossEntropyCase("huge logits", 9, 31, 1e7),
  ],
};

function crossEntropyCase(about: string, T: number, V: number, scale = 2): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(T, V), fill: { kind: "normal", scale } },
      { type: i32(T), fill: { kind: "integers", low: -1, below: V } },
    ],
    params: {},
  };
}
