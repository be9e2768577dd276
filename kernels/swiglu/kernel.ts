// Gated hidden units: a SiLU of one product times another product, and the form of GPT-OSS.
import { type Kernel, match } from "../kernel.ts";
import { sameShape } from "../parts/elementwise.ts";
import { gatedKernel, type GatedParams, opened, shifted } from "../parts/gated.ts";
import program from "./gpu.wgsl" with { type: "text" };

export const swiglu: Kernel<GatedParams> = gatedKernel({
  name: "swiglu",
  about: "y = silu(gate) x for every element; or both clamped, the gate steeper and x shifted.",
  paired: false,
  gradient: false,
  outputs(inputs) {
    match("swiglu", inputs, ["f32 *", "f32 *"]);
    sameShape("swiglu", inputs);
    return [inputs[0]];
  },
  reference([gate, x], [y], _types, params) {
    for (let i = 0; i < y.length; i++) y[i] = opened(gate[i], params)[0] * shifted(x[i], params)[0];
  },
  wasm: "swiglu",
  program,
});
