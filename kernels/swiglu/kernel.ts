// Gated hidden units: a SiLU of one product times another product, and the form of GPT-OSS.
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
} from "../parts/gated.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };

const code = gatedSource + program;

export const swiglu: Kernel<GatedParams> = {
  name: "swiglu",
  about: "y = silu(gate) x for every element; or both clamped, the gate steeper and x shifted.",
  outputs(inputs) {
    match("swiglu", inputs, ["f32 *", "f32 *"]);
    sameShape("swiglu", inputs);
    return [inputs[0]];
  },
  reference([gate, x], [y], _types, params) {
    for (let i = 0; i < y.length; i++) y[i] = opened(gate[i], params)[0] * shifted(x[i], params)[0];
  },
  wasm: "swiglu",
  cpu(inputs, params) {
    return elementwise(elements(inputs), 1.2, {
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
    return { flop: gatedFlop(params) * elements(inputs), bytes: 3 * bytesOf(inputs[0]) };
  },
  // As `unary` has it, and a product.
  rounding: (_inputs, params) => 9 + gatedRounding(params),
  gpuRounding: (_inputs, params) => 9 + gatedRounding(params) + 2 * QUOTIENT,
  cases: [{}, gptOss].flatMap((params) =>
    [[7, 13], [5, 1001], [1], [0, 4]].map((shape): Case<GatedParams> => ({
      about: `shape ${shape.join(" x ")}${params === gptOss ? ", clamped" : ""}`,
      inputs: [
        { type: f32(...shape), fill: { kind: "normal", scale: 3 } },
        { type: f32(...shape), fill: { kind: "normal", scale: params === gptOss ? 3 : 1 } },
      ],
      params,
    }))
  ),
};
