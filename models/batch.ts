// What one pass of a model is given, and what is refused before it runs.
import type { Backend } from "../kernels/kernel.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { type ModelSpec, rowsOf } from "./spec.ts";

/** Tokens for one pass, on the host. */
export interface Batch {
  /** Rows of the input: whole numbers from 0. */
  readonly tokenId_T: Int32Array;
  /**
   * Class of each token, i32 [T], -1 to leave it out of the loss; or values, f32 [T, rows of the target] row-major. Without
   * it the pass gives scores and no loss.
   */
  readonly target_T?: Int32Array | Float32Array;
  /** Which tokens are of one sequence: T in all. */
  readonly sequences: Sequences;
  /** 1 = a real token, 0 = padding, which no expert takes; give it no target. Absent = all real. */
  readonly real_T?: Float32Array;
}

/** Tokens that have a target. */
export interface Targets {
  /** How many there are. */
  readonly count: number;
  /** 1 for each of them, else 0, f32 [T]. Absent = all have one. */
  readonly mask_T?: Tensor;
}

/** Classes are [T], values [T, R]. */
export function targetShape(target_T: Int32Array | Float32Array, { T }: Sequences): number[] {
  return target_T instanceof Int32Array ? [T] : [T, T === 0 ? 1 : target_T.length / T];
}

/** How many tokens have a target, and which. */
export function targetsOf(target_T: Int32Array | Float32Array, { T }: Sequences, backend: Backend): Targets {
  if (target_T instanceof Float32Array) return { count: T };
  let count = 0;
  for (let t = 0; t < T; t++) if (target_T[t] >= 0) count++;
  if (count === T) return { count };
  const has_T = new Float32Array(T);
  for (let t = 0; t < T; t++) has_T[t] = target_T[t] < 0 ? 0 : 1;
  return { count, mask_T: tensor(backend, has_T, [T]) };
}

/** @throws {RangeError} for lengths that do not go together, the wrong kind of target, or an id outside the vocabulary. */
export function checkBatch(
  { tokenId_T, target_T, sequences: { T }, real_T }: Batch,
  { input, target }: ModelSpec,
): void {
  const rows = rowsOf(input);
  const classes = target.kind === "tokens" ? rows : target.vectors.rows;
  const values = target.kind === "vectors" && target.loss === "squared-error";
  const each = values ? classes : 1;
  const targets = target_T?.length ?? T * each;
  if (tokenId_T.length !== T || targets !== T * each || (real_T && real_T.length !== T)) {
    throw new RangeError(
      `Cannot run the model: there are ${tokenId_T.length} token ids, ${targets} targets and ` +
        `${real_T?.length ?? T} marks of real tokens for sequences of ${T} tokens`,
    );
  }
  if (target_T && values !== target_T instanceof Float32Array) {
    throw new RangeError(
      `Cannot run the model: its targets are ${values ? "values, a Float32Array" : "classes, an Int32Array"}`,
    );
  }
  const id = firstOutside(tokenId_T, 0, rows);
  if (id !== undefined) {
    throw new RangeError(`Cannot run the model: token id ${id} is outside the vocabulary, 0 to ${rows - 1}`);
  }
  const outside = values || !target_T ? undefined : firstOutside(target_T, -1, classes);
  if (outside !== undefined) {
    throw new RangeError(
      `Cannot run the model: target ${outside} is outside the vocabulary, 0 to ${
        classes - 1
      }, or -1 for none`,
    );
  }
}

/** The first of some numbers that is not from `least` to below `end`; a loop, since every step asks. */
function firstOutside(values: Int32Array | Float32Array, least: number, end: number): number | undefined {
  for (let at = 0; at < values.length; at++) {
    if (values[at] < least || values[at] >= end) return values[at];
  }
  return undefined;
}
