// A gate that opens a unit, silu(gate) x, and the form GPT-OSS gives it: gate and unit are clamped, the gate's sigmoid has
// a steepness of its own, and the unit is shifted. What `swiglu`, `paired_swiglu` and their gradients have in common.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { unaryOperation } from "../unary/operations.ts";
import { QUOTIENT } from "./accuracy.ts";
import { elements, elementwise } from "./elementwise.ts";
import { forEach, quads } from "./grid.ts";
import activation from "./activation.wgsl" with { type: "text" };
import gated from "./gated.wgsl" with { type: "text" };
import math from "./math.wgsl" with { type: "text" };

/** WGSL that each program's own follows. */
const gatedSource = math + activation + gated;

/** gate' sigmoid(steepness gate') (x' + shift), with gate' = min(gate, limit) and x' between -limit and limit. */
export interface GatedParams {
  /** Absent: nothing is clamped. */
  readonly limit?: number | undefined;
  /** Absent: 1. */
  readonly steepness?: number | undefined;
  /** Absent: 0. */
  readonly shift?: number | undefined;
}

const { operation: silu, number: SILU } = unaryOperation("swiglu", "silu");

/** Whether it is silu(gate) x and nothing more, which programs have a shorter way for. */
function isPlain({ limit, steepness = 1, shift = 0 }: GatedParams): boolean {
  return limit === undefined && steepness === 1 && shift === 0;
}

/** Limit, steepness and shift as programs read them. */
function gatedFloats({ limit = Infinity, steepness = 1, shift = 0 }: GatedParams): number[] {
  return [limit, steepness, shift];
}

/** The gate's own factor, and its derivative. */
export function opened(gate: number, { limit = Infinity, steepness = 1 }: GatedParams): [number, number] {
  const z = steepness * (gate > limit ? limit : gate);
  return [silu.value(z) / steepness, gate > limit ? 0 : silu.derivative(z)];
}

/** The unit's own factor, and its derivative. */
export function shifted(x: number, { limit = Infinity, shift = 0 }: GatedParams): [number, number] {
  if (x > limit) return [limit + shift, 0];
  return x < -limit ? [shift - limit, 0] : [x + shift, 1];
}

/** Floating-point operations of one result, roughly. */
function gatedFlop(params: GatedParams): number {
  return silu.flop + (isPlain(params) ? 1 : 6);
}

/** Roundings besides those of silu(gate) x: steepness and shift are rounded, and so are the two results they are part of. */
function gatedRounding(params: GatedParams): number {
  return isPlain(params) ? 0 : 5;
}

/** GPT-OSS's form, with a limit that normal numbers pass. */
const gptOss: GatedParams = { limit: 2.5, steepness: 1.702, shift: 1 };

/** Pairs in the last axis of the one input: how many there are, and the type of one number for each. */
export function pairsOf(
  kernel: string,
  inputs: readonly ArrayType[],
): { readonly count: number; readonly half: ArrayType } {
  const { rows, P } = match(kernel, inputs, ["f32 *P"]);
  if (P % 2 !== 0) throw new RangeError(`Cannot run ${kernel}: ${P} columns do not split into pairs`);
  return { count: rows * P / 2, half: f32(...halved(inputs[0].shape)) };
}

function halved(shape: readonly number[]): number[] {
  return [...shape.slice(0, -1), shape[shape.length - 1] / 2];
}

/** What one of the four kernels says of itself. */
export interface Gated {
  readonly name: string;
  readonly about: string;
  /** Gates and units lie side by side in one input, even columns and odd ones. */
  readonly paired: boolean;
  /** It is a gradient: the last input is the result's. */
  readonly gradient: boolean;
  readonly outputs: Kernel<GatedParams>["outputs"];
  readonly reference: Kernel<GatedParams>["reference"];
  readonly wasm: string;
  readonly program: string;
}

/** A kernel of gated units; the numbers of operations, bytes and roundings are those of the form it is given. */
export function gatedKernel(given: Gated): Kernel<GatedParams> {
  const { name, paired, gradient, outputs, program } = given;
  const code = gatedSource + program;
  const resultsOf = (inputs: readonly ArrayType[]) =>
    paired ? pairsOf(name, [inputs[0]]).count : elements(inputs);
  // As `unary` and `unary_gradient` have it, and a product.
  const rounding = (params: GatedParams) => (gradient ? 11 : 9) + gatedRounding(params);
  return {
    name,
    about: given.about,
    outputs,
    reference: given.reference,
    wasm: given.wasm,
    cpu(inputs, params) {
      return elementwise(resultsOf(inputs), gradient ? 1.8 : 1.2, {
        integers: [Number(isPlain(params))],
        floats: gatedFloats(params),
      });
    },
    wgsl: [code],
    gpu(inputs, params, facts) {
      const results = resultsOf(inputs);
      return {
        passes: [{
          program: code,
          constants: { OP: SILU },
          integers: [quads(results), quads(2 * results)],
          floats: gatedFloats(params),
          workgroups: forEach(quads(results), facts),
        }],
      };
    },
    cost(inputs, params) {
      const flop = gatedFlop(params) + (gradient ? silu.flop + 2 : 0);
      return { flop: flop * resultsOf(inputs), bytes: bytesOf(...inputs, ...outputs(inputs, params)) };
    },
    rounding: (_inputs, params) => rounding(params),
    gpuRounding: (_inputs, params) => rounding(params) + 2 * QUOTIENT,
    cases: casesOf(paired, gradient),
  };
}

/** Both forms at shapes that fill blocks and leave rests; gates of the plain form are wide, so that some are far out. */
function casesOf(paired: boolean, gradient: boolean): Case<GatedParams>[] {
  const shapes = paired ? [[7, 26], [5, 2002], [2], [3, 2], [0, 4]] : [[7, 13], [5, 1001], [1], [0, 4]];
  return [{}, gptOss].flatMap((params) => {
    const normal = (shape: readonly number[], scale = 1) => ({
      type: f32(...shape),
      fill: { kind: "normal", scale } as const,
    });
    const scale = params === gptOss ? 3 : 1;
    return shapes.map((shape): Case<GatedParams> => ({
      about: `shape ${shape.join(" x ")}${params === gptOss ? ", clamped" : ""}`,
      inputs: [
        ...paired ? [normal(shape, scale)] : [normal(shape, 3), normal(shape, scale)],
        ...gradient ? [normal(paired ? halved(shape) : shape)] : [],
      ],
      params,
    }));
  });
}
