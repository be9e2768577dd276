// Gradients of `swiglu` for both of its inputs at once: they are read once, and so is the gradient of the result.
import { type Kernel, match } from "../kernel.ts";
import { sameShape } from "../parts/elementwise.ts";
import { gatedKernel, type GatedParams, opened, shifted } from "../parts/gated.ts";
import program from "./gpu.wgsl" with { type: "text" };

export const swigluGradient: Kernel<GatedParams> = gatedKernel({
  name: "swiglu_gradient",
  about: "dgate = g x silu'(gate) and dx = g silu(gate) for every element; or of the clamped form.",
  paired: false,
  gradient: true,
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
  program,
});
