// Picks element by element. Words are copied as they are, so a and b may be of either element type.
import { bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

const NORMAL = { kind: "normal" } as const;
const INTEGERS = { kind: "integers", low: -9, below: 9 } as const;
const MASK = { kind: "integers", low: 0, below: 2 } as const;

export const where: Kernel<Record<string, never>> = {
  name: "where",
  about: "a where the mask is not 0, b elsewhere; NaN is not 0.",
  outputs(inputs) {
    match("where", inputs, ["any *", "any *", "any *"]);
    sameShape("where", inputs);
    if (inputs[1].dtype !== inputs[2].dtype) {
      throw new TypeError(
        `Cannot run where: input 2 must have input 1's element type ${inputs[1].dtype}, not ${
          inputs[2].dtype
        }`,
      );
    }
    return [inputs[1]];
  },
  reference([mask, a, b], [c]) {
    for (let i = 0; i < c.length; i++) c[i] = mask[i] !== 0 ? a[i] : b[i];
  },
  wasm: "where",
  cpu(inputs) {
    return elementwise(elements(inputs), 0.5, { integers: [Number(inputs[0].dtype === "f32")] });
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const count = quads(elements(inputs));
    const constants = { FLOAT_MASK: Number(inputs[0].dtype === "f32") };
    return { passes: [{ program, constants, integers: [count], workgroups: forEach(count, facts) }] };
  },
  cost(inputs) {
    return { flop: 0, bytes: bytesOf(...inputs, inputs[1]) };
  },
  rounding: () => 0,
  cases: [
    whereCase("odd size", [3, 7], "i32", "f32"),
    whereCase("whole numbers", [3, 7], "i32", "i32"),
    whereCase("one element", [1], "i32", "f32"),
    whereCase("empty", [0, 3], "i32", "f32"),
    whereCase("several blocks", [3001], "f32", "i32"),
    {
      about: "float mask with -0 and NaN",
      inputs: [
        { type: f32(7), fill: { kind: "values", values: [0, -0, NaN, 1e-40, -1, Infinity, 0] } },
        { type: f32(7), fill: NORMAL },
        { type: f32(7), fill: NORMAL },
      ],
      params: {},
    },
  ],
};

function whereCase(
  about: string,
  shape: number[],
  mask: "f32" | "i32",
  values: "f32" | "i32",
): Case<Record<string, never>> {
  const type = values === "f32" ? f32(...shape) : i32(...shape);
  const fill = values === "f32" ? NORMAL : INTEGERS;
  return {
    about,
    inputs: [{ type: mask === "f32" ? f32(...shape) : i32(...shape), fill: MASK }, { type, fill }, {
      type,
      fill,
    }],
    params: {},
  };
}
