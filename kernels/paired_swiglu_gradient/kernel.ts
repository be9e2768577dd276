// Gradient of `paired_swiglu`: each pair's two gradients side by side.
import { type Kernel, match } from "../kernel.ts";
import { gatedKernel, type GatedParams, opened, shifted } from "../parts/gated.ts";
import program from "./gpu.wgsl" with { type: "text" };

export const pairedSwigluGradient: Kernel<GatedParams> = gatedKernel({
  name: "paired_swiglu_gradient",
  about: "dh of y = paired_swiglu(h) for a gradient of y.",
  paired: true,
  gradient: true,
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
  program,
});
