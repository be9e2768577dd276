// Swaps the last two axes. Products read operands either way round, so this is for what looks along the other axis:
// experts that rank tokens, slots that average over them.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Columns one unit of work moves: what a cache line holds. */
const BLOCK = 16;

function bind(inputs: readonly ArrayType[]): { rows: number; R: number; C: number } {
  const { rows, R, C } = match("transpose", inputs, ["f32 *RC"]);
  return { rows, R, C };
}

export const transpose: Kernel<Record<string, never>> = {
  name: "transpose",
  about: "y[*, C, R]: y[..., c, r] = x[..., r, c].",
  outputs(inputs) {
    bind(inputs);
    const [{ shape }] = inputs;
    return [f32(...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2])];
  },
  reference([x], [y], types) {
    const { rows, R, C } = bind(types);
    for (let b = 0; b < rows; b++) {
      for (let r = 0; r < R; r++) {
        for (let c = 0; c < C; c++) y[(b * C + c) * R + r] = x[(b * R + r) * C + c];
      }
    }
  },
  wasm: "transpose",
  cpu(inputs) {
    const { rows, R, C } = bind(inputs);
    return {
      units: rows * Math.ceil(C / BLOCK),
      grain: Math.max(1, Math.floor(1024 / Math.max(1, R))),
      integers: [R, C],
    };
  },
  wgsl: [program],
  gpu(inputs, _params, facts) {
    const { rows, R, C } = bind(inputs);
    const workgroups = grid(rows * Math.ceil(R / 16) * Math.ceil(C / 16), facts);
    return { passes: [{ program, integers: [rows, R, C], workgroups }] };
  },
  cost(inputs) {
    return { flop: 0, bytes: 2 * bytesOf(...inputs) };
  },
  rounding: () => 0,
  cases: [
    transposeCase("odd sizes", f32(19, 37)),
    transposeCase("whole blocks", f32(64, 48)),
    transposeCase("several matrices", f32(3, 5, 18)),
    transposeCase("four axes", f32(2, 3, 7, 2)),
    transposeCase("one row", f32(1, 33)),
    transposeCase("one column", f32(33, 1)),
    transposeCase("many rows", f32(3001, 20)),
    transposeCase("one element", f32(1, 1)),
    transposeCase("no rows", f32(0, 4)),
    transposeCase("no columns", f32(4, 0)),
    transposeCase("no matrices", f32(0, 3, 4)),
  ],
};

function transposeCase(about: string, type: ArrayType): Case<Record<string, never>> {
  return { about, inputs: [{ type, fill: { kind: "normal" } }], params: {} };
}
