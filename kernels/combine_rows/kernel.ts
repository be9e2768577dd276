// Weighted sums of rows by group: what experts computed, back to tokens. Each group sums its own rows through the
// order and offsets that group_by gave, so the result is the same on every run.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]): Record<string, number> {
  const bound = match("combine_rows", inputs, ["f32 MD", "i32 N", "f32 N", "i32 N", "i32 O"]);
  if (bound.O < 1) throw new RangeError("Cannot run combine_rows: G groups need G + 1 offsets, not 0");
  return { ...bound, G: bound.O - 1 };
}

export const combineRows: Kernel<Record<string, never>> = {
  name: "combine_rows",
  about:
    "y[g] = sum of weight[n] rows[index[n]] over n = order[offset[g]] to order[offset[g+1]-1]; index -1 adds nothing.",
  outputs(inputs) {
    const { G, D } = bind(inputs);
    return [f32(G, D)];
  },
  reference([rows, index, weight, order, offset], [y], types) {
    const { G, D, M } = bind(types);
    for (let g = 0; g < G; g++) {
      for (let at = offset[g]; at < offset[g + 1]; at++) {
        const n = order[at];
        if (index[n] < 0 || index[n] >= M) continue;
        for (let d = 0; d < D; d++) y[g * D + d] += weight[n] * rows[index[n] * D + d];
      }
    }
  },
  wasm: "combineRows",
  cpu(inputs) {
    const { G, D, M } = bind(inputs);
    return { units: G, grain: Math.max(1, Math.floor(16384 / Math.max(16, D))), integers: [M, D] };
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const { G, D, M } = bind(inputs);
    const four = D % 4 === 0;
    const width = four ? D / 4 : D;
    return {
      passes: [{
        program,
        entry: four ? "quads" : "singles",
        integers: [G * width, width, M],
        workgroups: forEach(G * width, facts),
      }],
    };
  },
  cost(inputs) {
    const { N, D, G } = bind(inputs);
    return { flop: 2 * N * D, bytes: 4 * N * D + bytesOf(...inputs.slice(1), f32(G, D)) };
  },
  rounding(inputs) {
    return bind(inputs).N + 1;
  },
  cases: [
    combineCase("two rows a group", 20, 19, spread(12, 2), 20),
    combineCase("whole vectors", 20, 64, spread(12, 2), 20),
    combineCase("ragged groups, one empty", 9, 37, [0, 3, 3, 4, 11], 9),
    combineCase("one row a group", 30, 5, spread(30, 1), 30),
    combineCase("entries that no group has", 9, 8, [0, 2, 5], 9, 20),
    combineCase("every index out of range", 4, 6, spread(3, 2), 0),
    combineCase("no groups", 4, 6, [0], 4),
    combineCase("no entries", 4, 6, [0, 0, 0], 4),
    combineCase("no columns", 4, 0, spread(3, 2), 4),
    combineCase("one element", 1, 1, [0, 1], 1),
    combineCase("many groups", 700, 33, spread(600, 3), 700),
  ],
};

function spread(groups: number, each: number): number[] {
  return Array.from({ length: groups + 1 }, (_, g) => g * each);
}

/** Indices run from -1 to `below` - 1; the order is a fixed shuffle. */
function combineCase(
  about: string,
  M: number,
  D: number,
  offset: number[],
  below: number,
  N = offset[offset.length - 1],
): Case<Record<string, never>> {
  const order = Array.from({ length: N }, (_, n) => n).sort((a, b) => (a * 7919) % 1009 - (b * 7919) % 1009);
  return {
    about,
    inputs: [
      { type: f32(M, D), fill: { kind: "normal" } },
      { type: i32(N), fill: { kind: "integers", low: -1, below } },
      { type: f32(N), fill: { kind: "normal" } },
      { type: i32(N), fill: { kind: "values", values: order } },
      { type: i32(offset.length), fill: { kind: "values", values: offset } },
    ],
    params: {},
  };
}
