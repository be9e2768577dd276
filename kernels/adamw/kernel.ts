// One AdamW step of all arrays of a model (Loshchilov and Hutter, 2019, "Decoupled weight decay regularization", algorithm
// 2). The clipping factor comes as an array, so that a step never waits for the gradient's norm.
import {
  type ArrayType,
  type Case,
  type CaseInput,
  f32,
  type GpuPass,
  type Kernel,
  match,
  shapeText,
  sizeOf,
} from "../kernel.ts";
import { BLOCK, grainFor, sameShape } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import own from "./gpu.wgsl" with { type: "text" };
import twoArrays from "./gpu_apart.wgsl" with { type: "text" };
import oneArray from "./gpu_over.wgsl" with { type: "text" };

const apart = own + twoArrays;
const inPlace = own + oneArray;

/** `step` counts from 1; an array's decay is `learningRate` times its `weightDecay`. */
export interface AdamwParams {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** One for each array. */
  readonly weightDecay: readonly number[];
  readonly step: number;
}

/** Inputs of one array: p, g, m and v. */
const EACH = 4;

/** Number of the first input of each array; the factor comes before them. */
function firstOf(inputs: number): number[] {
  return Array.from({ length: (inputs - 1) / EACH }, (_, array) => 1 + EACH * array);
}

function check(inputs: readonly ArrayType[], params: AdamwParams): void {
  const arrays = params.weightDecay.length;
  if (inputs.length !== 1 + EACH * arrays) {
    throw new TypeError(
      `Cannot run adamw: ${arrays} arrays take ${
        1 + EACH * arrays
      } inputs, the gradient's factor and four for ` +
        `each, not ${inputs.length}`,
    );
  }
  match("adamw", [inputs[0]], ["f32 S"]);
  if (inputs[0].shape[0] !== 1) {
    throw new RangeError(
      `Cannot run adamw: input 0, the gradient's factor, must have shape [1], not ${
        shapeText(inputs[0].shape)
      }`,
    );
  }
  for (const first of firstOf(inputs.length)) {
    const own = inputs.slice(first, first + EACH);
    match("adamw", own, ["f32 *", "f32 *", "f32 *", "f32 *"]);
    sameShape("adamw", own);
  }
  const { beta1, beta2, step } = params;
  for (const [name, beta] of [["beta1", beta1], ["beta2", beta2]] as const) {
    if (!(beta >= 0 && beta < 1)) {
      throw new RangeError(`Cannot run adamw: ${name} must be from 0 to below 1, not ${beta}`);
    }
  }
  if (!Number.isInteger(step) || step < 1) {
    throw new RangeError(`Cannot run adamw: step must be a whole number from 1, not ${step}`);
  }
}

/** What both programs read, in their order: the bias corrections are part of the rate and of the root's factor. */
function constantsOf({ learningRate, beta1, beta2, epsilon, step }: AdamwParams): number[] {
  const rate = learningRate / (1 - beta1 ** step), root = 1 / Math.sqrt(1 - beta2 ** step);
  return [beta1, 1 - beta1, beta2, 1 - beta2, rate, root, epsilon];
}

function decaysOf({ learningRate, weightDecay }: AdamwParams): number[] {
  return weightDecay.map((decay) => learningRate * decay);
}

export const adamw: Kernel<AdamwParams> = {
  name: "adamw",
  about: "One AdamW step of every array: from the factor of g and each (p, g, m, v) to each (p', m', v').",
  outputs(inputs, params) {
    check(inputs, params);
    return firstOf(inputs.length).flatMap((at) => [inputs[at], inputs[at + 2], inputs[at + 3]]);
  },
  reference([scale, ...arrays], outputs, _types, params) {
    const { learningRate, beta1, beta2, epsilon, weightDecay, step } = params;
    for (const [array, decay] of weightDecay.entries()) {
      const [p, g, m, v] = arrays.slice(EACH * array);
      const [p1, m1, v1] = outputs.slice(3 * array);
      for (let i = 0; i < p1.length; i++) {
        const gradient = g[i] * scale[0];
        m1[i] = beta1 * m[i] + (1 - beta1) * gradient;
        v1[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        const mean = m1[i] / (1 - beta1 ** step);
        const square = v1[i] / (1 - beta2 ** step);
        p1[i] = p[i] - learningRate * (mean / (Math.sqrt(square) + epsilon) + decay * p[i]);
      }
    }
  },
  wasm: "adamw",
  replaces: (inputs) => firstOf(inputs).flatMap((at) => [at, at + 2, at + 3]),
  cpu(inputs, params) {
    const sizes = firstOf(inputs.length).map((at) => sizeOf(inputs[at].shape));
    return {
      units: sizes.reduce((sum, size) => sum + Math.ceil(size / BLOCK), 0),
      grain: grainFor(2 * BLOCK),
      leading: [sizes.length, ...sizes],
      floats: [...constantsOf(params), ...decaysOf(params)],
    };
  },
  wgsl: [apart, inPlace],
  gpu(inputs, params, facts) {
    const constants = constantsOf(params);
    const decays = decaysOf(params);
    const passes = (program: string, over: boolean) =>
      firstOf(inputs.length).map((at, array): GpuPass => {
        const count = quads(sizeOf(inputs[at].shape));
        const made = inputs.length + 3 * array;
        return {
          program,
          integers: [count],
          floats: [...constants, decays[array]],
          workgroups: forEach(count, facts),
          reads: over ? [at + 1, 0] : [at, at + 1, at + 2, at + 3, 0],
          writes: [made, made + 1, made + 2],
        };
      });
    return { passes: passes(apart, false), over: passes(inPlace, true) };
  },
  cost(inputs) {
    const elements = firstOf(inputs.length).reduce((sum, at) => sum + sizeOf(inputs[at].shape), 0);
    return { flop: 16 * elements, bytes: 28 * elements };
  },
  // Of the update: m' 4, v' 5 (halved by the root), bias corrections 2, root, sum, quotient, product; then two sums.
  rounding: () => 14,
  // Its root and its quotient are counted with one rounding each.
  gpuRounding: (inputs, params) => adamw.rounding(inputs, params) + ROOT + QUOTIENT - 2,
  cases: [
    adamwCase("odd size", [3, 7], 3),
    adamwCase("first step", [33], 1, 0),
    adamwCase("late step", [33], 100_000),
    adamwCase("one element", [1], 2),
    adamwCase("empty", [0], 2),
    adamwCase("several blocks", [3, 1001], 10),
    adamwCase("three arrays, one of them empty", [[3, 1001], [0], [7]], 10),
    {
      about: "no gradient yet",
      inputs: [1, 1, 0, 0, 0].map((value, at) => ({
        type: at > 0 ? f32(9) : f32(1),
        fill: { kind: "values", values: [value] } as const,
      })),
      params: { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: [0.1], step: 1 },
    },
  ],
};

function adamwCase(
  about: string,
  shapes: number[] | number[][],
  step: number,
  moments = 1,
): Case<AdamwParams> {
  const each = (typeof shapes[0] === "number" ? [shapes] : shapes) as number[][];
  return {
    about,
    inputs: [
      { type: f32(1), fill: { kind: "uniform", low: 0.5, high: 1 } },
      ...each.flatMap((shape): CaseInput[] => {
        const type = f32(...shape);
        return [
          { type, fill: { kind: "normal" } },
          { type, fill: { kind: "normal" } },
          { type, fill: { kind: "normal", scale: 0.1 * moments } },
          { type, fill: { kind: "uniform", low: 0.01 * moments, high: moments } },
        ];
      }),
    ],
    params: {
      learningRate: 3e-2,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: each.map((_, at) => at === 1 ? 0 : 0.1),
      step,
    },
  };
}
