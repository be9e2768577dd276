// `swiglu` where gate and unit lie side by side, as GPT-OSS stores the columns of one product: even columns are gates, odd
// ones units.
import type { Kernel } from "../kernel.ts";
import { gatedKernel, type GatedParams, opened, pairsOf, shifted } from "../parts/gated.ts";
import program from "./gpu.wgsl" with { type: "text" };

export const pairedSwiglu: Kernel<GatedParams> = gatedKernel({
  name: "paired_swiglu",
  about: "y[..., f] = silu(h[..., 2 f]) h[..., 2 f + 1]; or clamped, the gate steeper and the unit shifted.",
  paired: true,
  gradient: false,
  outputs(inputs) {
    return [pairsOf("paired_swiglu", inputs).half];
  },
  reference([h], [y], _types, params) {
    for (let i = 0; i < y.length; i++) y[i] = opened(h[2 * i], params)[0] * shifted(h[2 * i + 1], params)[0];
  },
  wasm: "pairedSwiglu",
  program,
});
