// x times a number plus a number: both come with the call, so that no array holds them.
import { bytesOf, f32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** y = x scale + shift. */
export interface AffineParams {
  readonly scale: number;
  readonly shift: number;
}

const NORMAL = { kind: "normal" } as const;

export const affine: Kernel<AffineParams> = {
  name: "affine",
  about: "y = x scale + shift for every element of x.",
  outputs(inputs) {
    match("affine", inputs, ["f32 *"]);
    return [inputs[0]];
  },
  reference([x], [y], _types, { scale, shift }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] * scale + shift;
  },
  wasm: "affine",
  cpu(inputs, { scale, shift }) {
    return elementwise(elements(inputs), 0.3, { floats: [scale, shift] });
  },
  wgsl: [program],
  gpu(inputs, { scale, shift }, facts) {
    const count = quads(elements(inputs));
    return {
      passes: [{ program, integers: [count], floats: [scale, shift], workgroups: forEach(count, facts) }],
    };
  },
  cost(inputs) {
    return { flop: 2 * elements(inputs), bytes: 2 * bytesOf(inputs[0]) };
  },
  // The two numbers, the product and the sum are rounded; each may be as large as |x scale| + |shift|.
  rounding: () => 8,
  cases: [
    { about: "odd size", inputs: [{ type: f32(3, 7), fill: NORMAL }], params: { scale: 0.1, shift: -2.3 } },
    { about: "one element", inputs: [{ type: f32(1), fill: NORMAL }], params: { scale: -1, shift: 1 } },
    { about: "empty", inputs: [{ type: f32(0), fill: NORMAL }], params: { scale: 1, shift: 0 } },
    { about: "several blocks", inputs: [{ type: f32(3001), fill: NORMAL }], params: { scale: 3, shift: 0 } },
    {
      about: "infinity and NaN",
      inputs: [{ type: f32(6), fill: { kind: "values", values: [Infinity, -Infinity, NaN, 0, 1, -1] } }],
      params: { scale: -2, shift: 1 },
    },
  ],
};
