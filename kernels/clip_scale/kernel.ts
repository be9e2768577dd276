// The factor that clips gradients to a norm, kept on the device: `adamw` reads it there.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

/** The largest norm left as it is. */
export interface ClipScaleParams {
  readonly maximum: number;
}

export const clipScale: Kernel<ClipScaleParams> = {
  name: "clip_scale",
  about: "From sums of squares the norm, and min(1, maximum / norm), which is 1 where the norm is 0.",
  outputs(inputs, { maximum }) {
    match("clip_scale", inputs, ["f32 S"]);
    if (!(maximum > 0)) {
      throw new RangeError(`Cannot run clip_scale: maximum must be above 0, not ${maximum}`);
    }
    return [f32(1), f32(1)];
  },
  reference([squares], [norm, scale], _types, { maximum }) {
    let sum = 0;
    for (const square of squares) sum += square;
    norm[0] = Math.sqrt(sum);
    scale[0] = norm[0] === 0 ? 1 : Math.min(1, maximum / norm[0]);
  },
  wasm: "clipScale",
  cpu(inputs, { maximum }) {
    return { units: 1, grain: 1, integers: [inputs[0].shape[0]], floats: [maximum] };
  },
  wgsl: [lanes + program],
  gpu(inputs, { maximum }) {
    const integers = [inputs[0].shape[0]];
    return { passes: [{ program: lanes + program, integers, floats: [maximum], workgroups: [1, 1, 1] }] };
  },
  cost(inputs) {
    return { flop: inputs[0].shape[0] + 2, bytes: bytesOf(...inputs, f32(1), f32(1)) };
  },
  // Sums in f64; the maximum, the norm and the quotient are rounded.
  rounding: () => 4,
  // The sum's additions count half under the root; then the root, the quotient and the maximum.
  gpuRounding: ([{ shape: [S] }]) => Math.ceil((Math.ceil(S / 64) + 6) / 2) + ROOT + QUOTIENT + 1,
  cases: [
    clipScaleCase("clipped", [4, 5, 7], 1),
    clipScaleCase("left as it is", [4, 5, 7], 5),
    clipScaleCase("zero", [0, 0], 1),
    clipScaleCase("one sum", [9], 0.1),
    clipScaleCase("no sums", [], 1),
    clipScaleCase("no limit", [9, 1e30], Infinity),
    clipScaleCase("infinite", [1, Infinity], 1),
    clipScaleCase("NaN", [1, NaN], 1),
    {
      about: "many sums",
      inputs: [{ type: f32(1001), fill: { kind: "uniform", low: 0, high: 2 } }],
      params: { maximum: 1 },
    },
  ],
};

function clipScaleCase(about: string, values: number[], maximum: number): Case<ClipScaleParams> {
  return {
    about,
    inputs: [{ type: f32(values.length), fill: { kind: "values", values } }],
    params: { maximum },
  };
}
