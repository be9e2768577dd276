// Choices column by column, for routers that decide one choice after another.
import { greater, toFloat, where } from "../../tensor/arithmetic.ts";
import { take, wholeNumbers } from "../../tensor/rows.ts";
import { reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";

/** Two columns [T, 1] as [T, 2]; no gradient. */
export function sideBySide(left_T1: Tensor, right_T1: Tensor): Tensor {
  const [T] = left_T1.shape;
  const token_N = wholeNumbers(left_T1, [2 * T], (at) => Math.floor(at / 2));
  const twice = (column: Tensor) => reshape(take(reshape(stopGradient(column), [T]), token_N), [T, 2]);
  return where(wholeNumbers(left_T1, [T, 2], (at) => 1 - at % 2), twice(left_T1), twice(right_T1));
}

/** Column k of [T, K] as [T, 1]; no gradient. */
export function columnOf(x_TK: Tensor, k: number): Tensor {
  const [T, K] = x_TK.shape;
  if (K === 1) return stopGradient(x_TK);
  const entry_N = wholeNumbers(x_TK, [T], (t) => t * K + k);
  return reshape(take(reshape(stopGradient(x_TK), [T * K]), entry_N), [T, 1]);
}

/** 1 where there is an expert, 0 for -1. */
export function settled(expert: Tensor): Tensor {
  return greater(toFloat(expert), tensor(expert.backend, [-0.5], [1]));
}
