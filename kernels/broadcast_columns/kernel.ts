// One row becomes many: the gradient of `sum_first`.
import { bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../parts/elementwise.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** How often the row is repeated. */
export interface BroadcastColumnsParams {
  readonly rows: number;
}

export const broadcastColumns: Kernel<BroadcastColumnsParams> = {
  name: "broadcast_columns",
  about: "y[rows, C]: the row x[C] repeated.",
  outputs(inputs, { rows }) {
    const { C } = match("broadcast_columns", inputs, ["f32 C"]);
    if (!Number.isInteger(rows) || rows < 0) {
      throw new RangeError(`Cannot run broadcast_columns: rows must be a whole number from 0, not ${rows}`);
    }
    return [f32(rows, C)];
  },
  reference([x], [y]) {
    for (let i = 0; i < y.length; i++) y[i] = x[i % x.length];
  },
  wasm: "broadcastColumns",
  cpu(inputs, { rows }) {
    const { C } = match("broadcast_columns", inputs, ["f32 C"]);
    return { units: rows, grain: grainFor(C * 0.2 + 10), integers: [C] };
  },
  wgsl: [program],
  gpu(inputs, { rows }, facts) {
    const { C } = match("broadcast_columns", inputs, ["f32 C"]);
    return { passes: [{ program, integers: [rows * C, C], workgroups: forEach(rows * C, facts) }] };
  },
  cost(inputs, { rows }) {
    return { flop: 0, bytes: (1 + rows) * bytesOf(...inputs) };
  },
  rounding: () => 0,
  cases: [
    broadcastColumnsCase("odd size", 7, 15),
    broadcastColumnsCase("one element", 1, 1),
    broadcastColumnsCase("no rows", 4, 0),
    broadcastColumnsCase("no columns", 0, 4),
    broadcastColumnsCase("many narrow rows", 2, 3001),
    broadcastColumnsCase("wide rows", 1003, 5),
  ],
};

function broadcastColumnsCase(about: string, C: number, rows: number): Case<BroadcastColumnsParams> {
  return { about, inputs: [{ type: f32(C), fill: { kind: "normal" } }], params: { rows } };
}
