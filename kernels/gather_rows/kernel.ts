// Rows of an array in any order, each as often as wanted: tokens to experts, embeddings, positions. An index outside
// the array (-1 for a dropped assignment) gives zeros, or -1 in an array of whole numbers, where 0 would name a row; on
// a device nothing can be thrown.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match, sizeOf } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

function bind(
  inputs: readonly ArrayType[],
): { R: number; N: number; W: number; scaled: boolean; y: ArrayType } {
  if (inputs.length !== 2 && inputs.length !== 3) {
    throw new TypeError(`Cannot run gather_rows: it takes 2 or 3 inputs, not ${inputs.length}`);
  }
  const [x, index, scale] = inputs;
  const scaled = scale !== undefined;
  const { N } = match("gather_rows", inputs.slice(1), scaled ? ["i32 N", "f32 N"] : ["i32 N"]);
  match("gather_rows", [x], ["any *"]);
  if (scaled && x.dtype !== "f32") {
    throw new TypeError("Cannot run gather_rows: input 0 must be f32 to be scaled");
  }
  if (x.shape.length < 1) {
    throw new RangeError("Cannot run gather_rows: input 0 must have rows, not shape []");
  }
  const rest = x.shape.slice(1);
  const y: ArrayType = { dtype: x.dtype, shape: [...index.shape, ...rest] };
  return { R: x.shape[0], N, W: sizeOf(rest), scaled, y };
}

export const gatherRows: Kernel<Record<string, never>> = {
  name: "gather_rows",
  about:
    "y[n] = x[index[n]], times scale[n] if there is a scale; zeros (whole numbers: -1) where the index is -1.",
  outputs(inputs) {
    return [bind(inputs).y];
  },
  reference([x, index, scale], [y], types) {
    const { R, N, W, scaled } = bind(types);
    for (let n = 0; n < N; n++) {
      const inside = index[n] >= 0 && index[n] < R;
      for (let j = 0; j < W; j++) {
        y[n * W + j] = inside
          ? x[index[n] * W + j] * (scaled ? scale[n] : 1)
          : types[0].dtype === "i32"
          ? -1
          : 0;
      }
    }
  },
  wasm: "gatherRows",
  cpu(inputs) {
    const { R, N, W, scaled } = bind(inputs);
    return {
      units: N,
      grain: Math.max(1, Math.floor(32768 / Math.max(8, W))),
      integers: scaled ? [R, W, 1] : [R, W, inputs[0].dtype === "i32" ? 0xFF : 0, 0],
    };
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const { R, N, W, scaled } = bind(inputs);
    const four = W % 4 === 0;
    const width = four ? W / 4 : W;
    const entry = scaled ? (four ? "scaledQuads" : "scaledSingles") : four ? "quads" : "singles";
    const integers = [N * width, width, R, inputs[0].dtype === "i32" ? -1 : 0];
    return { passes: [{ program, entry, integers, workgroups: forEach(N * width, facts) }] };
  },
  cost(inputs) {
    const { N, W, scaled, y } = bind(inputs);
    return { flop: scaled ? N * W : 0, bytes: 2 * bytesOf(y) + bytesOf(...inputs.slice(1)) };
  },
  rounding(inputs) {
    return bind(inputs).scaled ? 1 : 0;
  },
  cases: [
    gatherCase("scaled", f32(7, 19), { low: -1, below: 7 }, 23, true),
    gatherCase("rows of a matrix", f32(7, 19), { low: -1, below: 7 }, 23),
    gatherCase("scaled, whole vectors", f32(5, 32), { low: 0, below: 5 }, 9, true),
    gatherCase("rows of whole numbers", i32(9, 6), { low: -1, below: 9 }, 30),
    gatherCase("numbers", f32(40), { low: -1, below: 40 }, 70),
    gatherCase("whole numbers", i32(40), { low: -1, below: 40 }, 70),
    gatherCase("matrices", f32(4, 3, 5), { low: -1, below: 4 }, 6),
    gatherCase("every index out of range", f32(4, 3), { low: 4, below: 9 }, 6),
    gatherCase("wide rows", f32(6, 1030), { low: -1, below: 6 }, 8),
    gatherCase("many rows", f32(50, 64), { low: -1, below: 50 }, 1500),
    gatherCase("from no rows", f32(0, 5), { low: -1, below: 0 }, 3),
    gatherCase("rows of no entries", f32(3, 0), { low: 0, below: 3 }, 4),
    gatherCase("no indices", f32(3, 4), { low: 0, below: 3 }, 0),
    gatherCase("one element", f32(1, 1), { low: 0, below: 1 }, 1, true),
  ],
};

function gatherCase(
  about: string,
  x: ArrayType,
  range: { low: number; below: number },
  N: number,
  scaled = false,
): Case<Record<string, never>> {
  const values = {
    type: x,
    fill: x.dtype === "f32" ? { kind: "normal" } : { kind: "integers", low: -99, below: 99 },
  };
  const index = { type: i32(N), fill: { kind: "integers", ...range } };
  const scale = { type: f32(N), fill: { kind: "normal" } };
  return { about, inputs: scaled ? [values, index, scale] : [values, index], params: {} } as Case<
    Record<string, never>
  >;
}
