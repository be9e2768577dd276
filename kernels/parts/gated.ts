// A gate that opens a unit, silu(gate) x, and the form GPT-OSS gives it: gate and unit are clamped, the gate's sigmoid has
// a steepness of its own, and the unit is shifted. What `swiglu`, `paired_swiglu` and their gradients have in common.
import { type ArrayType, f32, match } from "../kernel.ts";
import { unaryOperation } from "../unary/operations.ts";
import activation from "./activation.wgsl" with { type: "text" };
import gated from "./gated.wgsl" with { type: "text" };
import math from "./math.wgsl" with { type: "text" };

/** WGSL that each program's own follows. */
export const gatedSource = math + activation + gated;

/** gate' sigmoid(steepness gate') (x' + shift), with gate' = min(gate, limit) and x' between -limit and limit. */
export interface GatedParams {
  /** Absent: nothing is clamped. */
  readonly limit?: number | undefined;
  /** Absent: 1. */
  readonly steepness?: number | undefined;
  /** Absent: 0. */
  readonly shift?: number | undefined;
}

export const { operation: silu, number: SILU } = unaryOperation("swiglu", "silu");

/** Whether it is silu(gate) x and nothing more, which programs have a shorter way for. */
export function isPlain({ limit, steepness = 1, shift = 0 }: GatedParams): boolean {
  return limit === undefined && steepness === 1 && shift === 0;
}

/** Limit, steepness and shift as programs read them. */
export function gatedFloats({ limit = Infinity, steepness = 1, shift = 0 }: GatedParams): number[] {
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
export function gatedFlop(params: GatedParams): number {
  return silu.flop + (isPlain(params) ? 1 : 6);
}

/** Roundings besides those of silu(gate) x: steepness and shift are rounded, and so are the two results they are part of. */
export function gatedRounding(params: GatedParams): number {
  return isPlain(params) ? 0 : 5;
}

/** GPT-OSS's form, with a limit that normal numbers pass. */
export const gptOss: GatedParams = { limit: 2.5, steepness: 1.702, shift: 1 };

/** Pairs in the last axis of the one input: how many there are, and the type of one number for each. */
export function pairsOf(
  kernel: string,
  inputs: readonly ArrayType[],
): { readonly count: number; readonly half: ArrayType } {
  const { rows, P } = match(kernel, inputs, ["f32 *P"]);
  if (P % 2 !== 0) throw new RangeError(`Cannot run ${kernel}: ${P} columns do not split into pairs`);
  return { count: rows * P / 2, half: f32(...inputs[0].shape.slice(0, -1), P / 2) };
}
