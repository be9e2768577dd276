// `swiglu` where gate and unit lie side by side, as GPT-OSS stores the columns of one product: even columns are gates, odd
// ones units.
import { bytesOf, type Case, f32, type Kernel } from "../kernel.ts";
import { elementwise } from "../parts/elementwise.ts";
import {
  gatedFloats,
  gatedFlop,
  type GatedParams,
  gatedRounding,
  gatedSource,
  gptOss,
  isPlain,
  opened,
  pairsOf,
  shifted,
  SILU,
} from "../parts/gated.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };

const code = gatedSource + program;

export const pairedSwiglu: Kernel<GatedParams> = {
  name: "paired_swiglu",
  about: "y[..., f] = silu(h[..., 2 f]) h[..., 2 f + 1]; or clamped, the gate steeper and the unit shifted.",
  outputs(inputs) {
    return [pairsOf("paired_swiglu", inputs).half];
  },
  reference([h], [y], _types, params) {
    for (let i = 0; i < y.length; i++) y[i] = opened(h[2 * i], params)[0] * shifted(h[2 * i + 1], params)[0];
  },
  wasm: "pairedSwiglu",
  cpu(inputs, params) {
    const { count } = pairsOf("paired_swiglu", inputs);
    return elementwise(count, 1.2, { integers: [Number(isPlain(params))], floats: gatedFloats(params) });
  },
  wgsl: [code],
  gpu(inputs, params, facts) {
    const { count } = pairsOf("paired_swiglu", inputs);
    return {
      passes: [{
        program: code,
        constants: { OP: SILU },
        integers: [quads(count), quads(2 * count)],
        floats: gatedFloats(params),
        workgroups: forEach(quads(count), facts),
      }],
    };
  },
  cost(inputs, params) {
    const { count, half } = pairsOf("paired_swiglu", inputs);
    return { flop: gatedFlop(params) * count, bytes: bytesOf(inputs[0], half) };
  },
  rounding: (_inputs, params) => 9 + gatedRounding(params),
  gpuRounding: (_inputs, params) => 9 + gatedRounding(params) + 2 * QUOTIENT,
  cases: [{}, gptOss].flatMap((params) =>
    [[7, 26], [5, 2002], [2], [3, 2], [0, 4]].map((shape): Case<GatedParams> => ({
      about: `shape ${shape.join(" x ")}${params === gptOss ? ", clamped" : ""}`,
      inputs: [{ type: f32(...shape), fill: { kind: "normal", scale: params === gptOss ? 3 : 1 } }],
      params,
    }))
  ),
};
