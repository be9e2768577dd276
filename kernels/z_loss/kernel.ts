// The z-loss's mean: squares of rows' log sums of exponentials, averaged over real rows.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { checkTrips } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

/** Multiplies the mean. */
export interface ZLossParams {
  readonly scale: number;
}

function bind(inputs: readonly ArrayType[]): number {
  if (inputs.length !== 1 && inputs.length !== 2) {
    throw new TypeError(`Cannot run z_loss: it takes 1 or 2 inputs, not ${inputs.length}`);
  }
  return match("z_loss", inputs, ["f32 T", "f32 T"].slice(0, inputs.length)).T;
}

export const zLoss: Kernel<ZLossParams> = {
  name: "z_loss",
  about:
    "scale times the mean of z[t]^2 over real rows, 0 where there is none; and 2 scale over their number.",
  outputs(inputs) {
    bind(inputs);
    return [f32(1), f32(1)];
  },
  reference([z, real], [loss, slope], types, { scale }) {
    const T = bind(types);
    let [sum, count] = [0, 0];
    for (let t = 0; t < T; t++) {
      sum += (real ? real[t] : 1) * z[t] * z[t];
      count += real ? real[t] : 1;
    }
    slope[0] = 2 * scale / Math.max(1, count);
    loss[0] = slope[0] / 2 * sum;
  },
  wasm: "zLoss",
  cpu(inputs, { scale }) {
    const masked = Number(inputs.length === 2);
    // The program finds its whole numbers behind room for four addresses.
    return {
      units: 1,
      grain: 1,
      integers: [...(masked ? [] : [0]), bind(inputs), masked],
      floats: [scale],
    };
  },
  wgsl: [lanes + program],
  gpu(inputs, { scale }, facts) {
    const T = bind(inputs);
    const masked = inputs.length === 2;
    checkTrips("z_loss", `${T} rows`, Math.ceil(T / 64) + 16, facts);
    return {
      passes: [{
        program: lanes + program,
        reads: [0, masked ? 1 : 0],
        constants: { MASKED: Number(masked) },
        integers: [T],
        floats: [scale],
        workgroups: [1, 1, 1],
      }],
    };
  },
  cost(inputs) {
    return { flop: 3 * bind(inputs), bytes: bytesOf(...inputs, f32(1), f32(1)) };
  },
  // The CPU sums in f64.
  rounding: () => 4,
  gpuRounding: (inputs) => Math.ceil(bind(inputs) / 64) + 6 + 5 + QUOTIENT,
  cases: [
    zCase("odd size", 37),
    zCase("padding", 40, [1, 0, 1, 1]),
    zCase("padding alone", 5, [0]),
    zCase("many rows", 3001, [1, 1, 0]),
    zCase("one row", 1),
    zCase("no rows", 0),
  ],
};

function zCase(about: string, T: number, real?: number[]): Case<ZLossParams> {
  return {
    about,
    inputs: [
      { type: f32(T), fill: { kind: "normal" } },
      ...(real ? [{ type: f32(T), fill: { kind: "values", values: real } } as const] : []),
    ],
    params: { scale: 0.5 },
  };
}
