// One AdamW step (Loshchilov and Hutter, 2019, "Decoupled weight decay regularization", algorithm 2). The clipping factor
// comes as an array, so that a step never waits for the gradient's norm.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match, shapeText } from "../kernel.ts";
import { elements, elementwise, sameShape } from "../parts/elementwise.ts";
import { forEach, quads } from "../parts/grid.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import own from "./gpu.wgsl" with { type: "text" };
import twoArrays from "./gpu_apart.wgsl" with { type: "text" };
import oneArray from "./gpu_over.wgsl" with { type: "text" };

const apart = own + twoArrays;
const inPlace = own + oneArray;

/** `step` counts from 1; decay is `learningRate` times `weightDecay`. */
export interface AdamwParams {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly step: number;
}

function check(inputs: readonly ArrayType[], params: AdamwParams): void {
  match("adamw", inputs, ["f32 *", "f32 *", "f32 *", "f32 *", "f32 S"]);
  sameShape("adamw", inputs, 4);
  if (inputs[4].shape[0] !== 1) {
    throw new RangeError(
      `Cannot run adamw: input 4, the gradient's factor, must have shape [1], not ${
        shapeText(inputs[4].shape)
      }`,
    );
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
function constantsOf({ learningRate, beta1, beta2, epsilon, weightDecay, step }: AdamwParams): number[] {
  const rate = learningRate / (1 - beta1 ** step), root = 1 / Math.sqrt(1 - beta2 ** step);
  return [beta1, 1 - beta1, beta2, 1 - beta2, rate, root, epsilon, learningRate * weightDecay];
}

export const adamw: Kernel<AdamwParams> = {
  name: "adamw",
  about: "One AdamW step: from (p, g, m, v, factor of g) to (p', m', v').",
  outputs(inputs, params) {
    check(inputs, params);
    return [inputs[0], inputs[2], inputs[3]];
  },
  reference([p, g, m, v, scale], [p1, m1, v1], _types, params) {
    const { learningRate, beta1, beta2, epsilon, weightDecay, step } = params;
    for (let i = 0; i < p1.length; i++) {
      const gradient = g[i] * scale[0];
      m1[i] = beta1 * m[i] + (1 - beta1) * gradient;
      v1[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
      const mean = m1[i] / (1 - beta1 ** step);
      const square = v1[i] / (1 - beta2 ** step);
      p1[i] = p[i] - learningRate * (mean / (Math.sqrt(square) + epsilon) + weightDecay * p[i]);
    }
  },
  wasm: "adamw",
  replaces: [0, 2, 3],
  cpu(inputs, params) {
    return elementwise(elements(inputs), 2, { floats: constantsOf(params) });
  },
  wgsl: [apart, inPlace],
  gpu(inputs, params, facts) {
    const count = quads(elements(inputs));
    const common = { integers: [count], floats: constantsOf(params), workgroups: forEach(count, facts) };
    return {
      passes: [{ ...common, program: apart }],
      over: [{ ...common, program: inPlace, reads: [1, 4], writes: [5, 6, 7] }],
    };
  },
  cost(inputs) {
    return { flop: 16 * elements(inputs), bytes: 7 * bytesOf(inputs[0]) };
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
    {
      about: "no gradient yet",
      inputs: [1, 0, 0, 0, 1].map((value, at) => ({
        type: at < 4 ? f32(9) : f32(1),
        fill: { kind: "values", values: [value] } as const,
      })),
      params: { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, step: 1 },
    },
  ],
};

function adamwCase(about: string, shape: number[], step: number, moments = 1): Case<AdamwParams> {
  const type = f32(...shape);
  return {
    about,
    inputs: [
      { type, fill: { kind: "normal" } },
      { type, fill: { kind: "normal" } },
      { type, fill: { kind: "normal", scale: 0.1 * moments } },
      { type, fill: { kind: "uniform", low: 0.01 * moments, high: moments } },
      { type: f32(1), fill: { kind: "uniform", low: 0.5, high: 1 } },
    ],
    params: { learningRate: 3e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, step },
  };
}
