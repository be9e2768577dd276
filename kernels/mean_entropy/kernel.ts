// How undecided a gate is: the entropy of its rows, averaged over real tokens, for reports.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { checkTrips, grid } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };
import math from "../parts/math.wgsl" with { type: "text" };

const ELEMENTS_A_BLOCK = 8192;
const LEAST = 1e-30;

function bind(inputs: readonly ArrayType[]) {
  if (inputs.length !== 1 && inputs.length !== 2) {
    throw new TypeError(`Cannot run mean_entropy: it takes 1 or 2 inputs, not ${inputs.length}`);
  }
  return match("mean_entropy", inputs, ["f32 TE", "f32 T"].slice(0, inputs.length));
}

export const meanEntropy: Kernel<Record<string, never>> = {
  name: "mean_entropy",
  about: "Mean over real rows of -sum p log p, in nats; 0 where there is no row.",
  outputs(inputs) {
    bind(inputs);
    return [f32(1)];
  },
  reference([p, real], [y], types) {
    const { T, E } = bind(types);
    let count = 0;
    for (let t = 0; t < T; t++) {
      const weight = real ? real[t] : 1;
      count += weight;
      for (let i = t * E; i < (t + 1) * E; i++) y[0] -= weight * p[i] * Math.log(Math.max(p[i], LEAST));
    }
    y[0] /= Math.max(1, count);
  },
  wasm: "meanEntropy",
  cpu(inputs) {
    const { T, E } = bind(inputs);
    const masked = Number(inputs.length === 2);
    // The program finds its whole numbers behind room for three addresses.
    return { units: 1, grain: 1, integers: [...(masked ? [] : [0]), T, E, masked] };
  },
  wgsl: [lanes + math + program],
  gpu(inputs, _params, facts) {
    const { T, E } = bind(inputs);
    const masked = inputs.length === 2;
    const blocks = Math.ceil(T * E / ELEMENTS_A_BLOCK);
    const trips = Math.ceil(blocks / 64) + Math.ceil((masked ? T : 0) / 64) + 12;
    checkTrips("mean_entropy", `${T} rows of ${E}`, trips, facts);
    const scratch = inputs.length + 1;
    const common = {
      program: lanes + math + program,
      constants: { MASKED: Number(masked) },
      integers: [T, E, blocks],
      reads: [0, masked ? 1 : 0],
    };
    return {
      scratch: [f32(Math.max(1, blocks))],
      passes: [
        { ...common, entry: "sums", writes: [scratch], workgroups: grid(blocks, facts) },
        { ...common, entry: "join", writes: [scratch, inputs.length], workgroups: [1, 1, 1] },
      ],
    };
  },
  cost(inputs) {
    const { T, E } = bind(inputs);
    return { flop: 32 * T * E, bytes: bytesOf(...inputs, f32(1)) };
  },
  // On the CPU sums of a row are f32, of rows f64; a logarithm is off by 2 and times p by one more.
  rounding: (inputs) => bind(inputs).E + 5,
  gpuRounding(inputs) {
    const { T, E } = bind(inputs);
    return 5 + 128 + 6 + Math.ceil(T * E / ELEMENTS_A_BLOCK / 64) + 6 + QUOTIENT;
  },
  cases: [
    entropyCase("odd size", 13, 7),
    entropyCase("padding", 40, 8, [1, 0, 1, 1]),
    entropyCase("several blocks", 900, 19),
    entropyCase("several blocks, padding", 900, 19, [1, 0, 0]),
    entropyCase("padding alone", 4, 4, [0]),
    entropyCase("certain rows", 6, 4, undefined, [1, 0, 0, 0]),
    entropyCase("one element", 1, 1),
    entropyCase("no rows", 0, 4),
    entropyCase("no columns", 3, 0),
  ],
};

function entropyCase(
  about: string,
  T: number,
  E: number,
  real?: number[],
  values?: number[],
): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      {
        type: f32(T, E),
        fill: values ? { kind: "values", values } : { kind: "uniform", low: 0, high: 2 / Math.max(1, E) },
      },
      ...(real ? [{ type: f32(T), fill: { kind: "values", values: real } } as const] : []),
    ],
    params: {},
  };
}
