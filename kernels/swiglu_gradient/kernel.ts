// Gradients of `swiglu` for both of its inputs at once: they are read once, and so is the gradient of the result.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import {
  gatedFloats,
  gatedFlop,
  type GatedParams,
  gatedRounding,
  gatedSource,
  gptOss,
  isPlain,
  opened,
  shifted,
  SILU,
  silu,
} from "../parts/gated.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };

const code = gatedSource + program;

export const swigluGradient: Kernel<GatedParams> = {
  name: "swiglu_gradient",
  about: "dgate = g x silu'(gate) and dx = g silu(gate) for every element; or of the clamped form.",
  outputs(inputs) {
    match("swiglu_gradient", inputs, ["f32 *", "f32 *", "f32 *"]);
    sameShape("swiglu_gradient", inputs);
    return [inputs[0], inputs[0]];
  },
  reference([gate, x, g], [dgate, dx], _types, params) {
    for (let i = 0; i < g.length; i++) {
      const [factor, slope] = opened(gate[i], params);
      const [unit, passes] = shifted(x[i], params);
      dgate[i] = g[i] * unit * slope;
      dx[i] = g[i] * factor * passes;
    }
  },
  wasm: "swigluGradient",
  cpu(inputs, params) {
    return elementwise(elements(inputs), 1.8, {
      integers: [Number(isPlain(params))],
      floats: gatedFloats(params),
    });
  },
  wgsl: [code],
  gpu(inputs, params, facts) {
    const count = quads(elements(inputs));
    return {
      passes: [{
        program: code,
        constants: { OP: SILU },
        integers: [count, 0],
        floats: gatedFloats(params),
        workgroups: forEach(count, facts),
      }],
    };
  },
  cost(inputs, params) {
    return {
      flop: (silu.flop + 2 + gatedFlop(params)) * elements(inputs),
      bytes: 5 * bytesOf(inputs[0]),
    };
  },
  // As `unary` and `unary_gradient` have it, and a product.
  rounding: (_inputs, params) => 11 + gatedRounding(params),
  gpuRounding: (_inputs, params) => 11 + gatedRounding(params) + 2 * QUOTIENT,
  cases: [{}, gptOss].flatMap((params) =>
    [[7, 13], [5, 1001], [1], [0, 4]].map((shape): Case<GatedParams> => ({
      about: `shape ${shape.join(" x ")}${params === gptOss ? ", clamped" : ""}`,
      inputs: [
        { type: f32(...shape), fill: { kind: "normal", scale: 3 } },
        { type: f32(...shape), fill: { kind: "normal", scale: params === gptOss ? 3 : 1 } },
        { type: f32(...shape), fill: { kind: "normal" } },
      ],
      params,
    }))
  ),
};
