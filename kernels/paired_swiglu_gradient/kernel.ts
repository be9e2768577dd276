// Gradient of `paired_swiglu`: each pair's two gradients side by side.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
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
  silu,
} from "../parts/gated.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };

const code = gatedSource + program;

export const pairedSwigluGradient: Kernel<GatedParams> = {
  name: "paired_swiglu_gradient",
  about: "dh of y = paired_swiglu(h) for a gradient of y.",
  outputs(inputs) {
    const { P, F } = match("paired_swiglu_gradient", inputs, ["f32 *P", "f32 *F"]);
    if (P !== 2 * F) {
      throw new RangeError(`Cannot run paired_swiglu_gradient: ${F} gradients do not belong to ${P} columns`);
    }
    return [inputs[0]];
  },
  reference([h, g], [dh], _types, params) {
    for (let i = 0; i < g.length; i++) {
      const [factor, slope] = opened(h[2 * i], params);
      const [unit, passes] = shifted(h[2 * i + 1], params);
      dh[2 * i] = g[i] * unit * slope;
      dh[2 * i + 1] = g[i] * factor * passes;
    }
  },
  wasm: "pairedSwigluGradient",
  cpu([h], params) {
    const { count } = pairsOf("paired_swiglu_gradient", [h]);
    return elementwise(count, 1.8, { integers: [Number(isPlain(params))], floats: gatedFloats(params) });
  },
  wgsl: [code],
  gpu([h], params, facts) {
    const { count } = pairsOf("paired_swiglu_gradient", [h]);
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
  cost([h], params) {
    const { count, half } = pairsOf("paired_swiglu_gradient", [h]);
    return { flop: (silu.flop + 2 + gatedFlop(params)) * count, bytes: bytesOf(h, h, half) };
  },
  rounding: (_inputs, params) => 11 + gatedRounding(params),
  gpuRounding: (_inputs, params) => 11 + gatedRounding(params) + 2 * QUOTIENT,
  cases: [{}, gptOss].flatMap((params) =>
    [[7, 26], [5, 2002], [2], [3, 2], [0, 4]].map((shape): Case<GatedParams> => ({
      about: `shape ${shape.join(" x ")}${params === gptOss ? ", clamped" : ""}`,
      inputs: [
        { type: f32(...shape), fill: { kind: "normal", scale: params === gptOss ? 3 : 1 } },
        { type: f32(...shape.slice(0, -1), shape[shape.length - 1] / 2), fill: { kind: "normal" } },
      ],
      params,
    }))
  ),
};
