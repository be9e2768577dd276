// Each value becomes a row of copies: the gradient of `sum_last`.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { elements, grainFor } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** How often each value is repeated. */
export interface BroadcastRowsParams {
  readonly columns: number;
}

export const broadcastRows: Kernel<BroadcastRowsParams> = {
  name: "broadcast_rows",
  about: "y[*, columns]: each value of x[*] repeated along a new last axis.",
  outputs(inputs, { columns }) {
    match("broadcast_rows", inputs, ["f32 *"]);
    if (!Number.isInteger(columns) || columns < 0) {
      throw new RangeError(
        `Cannot run broadcast_rows: columns must be a whole number from 0, not ${columns}`,
      );
    }
    return [f32(...inputs[0].shape, columns)];
  },
  reference([x], [y], _types, { columns }) {
    for (let i = 0; i < y.length; i++) y[i] = x[Math.floor(i / columns)];
  },
  wasm: "broadcastRows",
  cpu(inputs, { columns }) {
    return { units: elements(inputs), grain: grainFor(columns * 0.2 + 2), integers: [columns] };
  },
  wgsl: [program],
  gpu(inputs, { columns }, facts) {
    const size = elements(inputs) * columns;
    return { passes: [{ program, integers: [size, columns], workgroups: forEach(size, facts) }] };
  },
  cost(inputs, { columns }) {
    return { flop: 0, bytes: (1 + columns) * bytesOf(...inputs) };
  },
  rounding: () => 0,
  cases: [
    broadcastRowsCase("odd size", [3, 5], 7),
    broadcastRowsCase("one element", [1], 1),
    broadcastRowsCase("no rows", [0], 4),
    broadcastRowsCase("no columns", [4], 0),
    broadcastRowsCase("many narrow rows", [3001], 2),
    broadcastRowsCase("wide rows", [5], 1003),
  ],
};

function broadcastRowsCase(about: string, shape: number[], columns: number): Case<BroadcastRowsParams> {
  return { about, inputs: [{ type: f32(...shape), fill: { kind: "normal" } }], params: { columns } };
}
