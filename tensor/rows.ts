// Moving rows, with gradients. Gathering and combining are each other's gradient, and both are gathers underneath:
// nothing adds into shared memory, so results do not depend on the order of threads.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "./tensor.ts";

/** A list of keys sorted by key: `order` lists places, `offset` where each key begins, `position` the inverse of order. */
export interface Groups {
  readonly count: number;
  readonly key_N: Tensor;
  readonly order_N: Tensor;
  readonly offset_O: Tensor;
  readonly position_N: Tensor;
}

/** Stable counting sort of keys 0..groups-1; keys outside are left out (position -1, order's tail -1). */
export function groupBy(key_N: Tensor, groups: number): Groups {
  const [order_N, offset_O, position_N] = apply(kernels.groupBy, [key_N], { groups });
  return { count: groups, key_N, order_N, offset_O, position_N };
}

/** How often each key 0..groups-1 occurs, i32. */
export function count(key: Tensor, groups: number): Tensor {
  return apply(kernels.count, [key], { groups })[0];
}

/** Rows at the given indices, without gradient; index -1 gives zeros, or -1 in whole numbers. */
export function take(x: Tensor, index_N: Tensor): Tensor {
  return apply(kernels.gatherRows, [x, index_N], {})[0];
}

/** Rows of a table: [R, D] at [N] -> [N, D]; index -1 gives zeros. The gradient sums rows that were taken twice. */
export function embedding(table_RD: Tensor, index_N: Tensor): Tensor {
  const rows = table_RD.shape[0];
  return differentiable(take(table_RD, index_N), [[table_RD, (gradient) => {
    const groups = groupBy(index_N, rows);
    return combine(gradient, everyRow(gradient), ones(gradient), groups);
  }]]);
}

function everyRow(x_ND: Tensor): Tensor {
  return tensor(x_ND.backend, Int32Array.from({ length: x_ND.shape[0] }, (_, at) => at), [x_ND.shape[0]]);
}

function ones(x_ND: Tensor): Tensor {
  return tensor(x_ND.backend, new Float32Array(x_ND.shape[0]).fill(1), [x_ND.shape[0]]);
}

function combine(rows_MD: Tensor, index_N: Tensor, weight_N: Tensor, groups: Groups): Tensor {
  return apply(kernels.combineRows, [rows_MD, index_N, weight_N, groups.order_N, groups.offset_O], {})[0];
}

/**
 * Tokens laid out for experts: row p of the result is the token of assignment `byExpert.order[p]`; rows past the last
 * kept assignment are zeros.
 * @param token_N Token of each assignment. @param byToken Assignments grouped by token.
 */
export function dispatchRows(x_TD: Tensor, token_N: Tensor, byExpert: Groups, byToken: Groups): Tensor {
  const tokenOfRow = take(token_N, byExpert.order_N);
  return differentiable(take(x_TD, tokenOfRow), [[
    x_TD,
    (gradient) => combine(gradient, byExpert.position_N, ones(byExpert.position_N), byToken),
  ]]);
}

/**
 * Expert outputs summed back by token: y[t] = sum over assignments n of t of weight[n] rows[position[n]].
 * Gradients reach the rows and the weights.
 */
export function combineRows(
  rows_ND: Tensor,
  weight_N: Tensor,
  token_N: Tensor,
  byExpert: Groups,
  byToken: Groups,
): Tensor {
  return differentiable(combine(rows_ND, byExpert.position_N, weight_N, byToken), [
    [rows_ND, (gradient) => {
      const tokenOfRow = take(token_N, byExpert.order_N);
      const weightOfRow = take(weight_N, byExpert.order_N);
      return apply(kernels.gatherRows, [gradient, tokenOfRow, weightOfRow], {})[0];
    }],
    [
      weight_N,
      (gradient) => apply(kernels.rowDot, [rows_ND, byExpert.position_N, gradient, token_N], {})[0],
    ],
  ]);
}

/** The same rows; the gradient of row n is multiplied by factor[n] on its way back. */
export function scaleGradient(rows_ND: Tensor, factor_N: Tensor): Tensor {
  const factor_N1 = reshape(factor_N, [factor_N.shape[0], 1]);
  return differentiable(stopGradient(rows_ND), [[
    rows_ND,
    (gradient) => apply(kernels.binary, [gradient, factor_N1], { op: "multiply" })[0],
  ]]);
}

/** Values at column indices of each row: [T, E] at [T, K] -> [T, K]; index -1 gives 0. */
export function takeAlong(x_TE: Tensor, index_TK: Tensor): Tensor {
  const columns = x_TE.shape[1];
  return differentiable(apply(kernels.takeAlong, [x_TE, index_TK], {})[0], [[
    x_TE,
    (gradient) => apply(kernels.takeAlongGradient, [index_TK, gradient], { columns })[0],
  ]]);
}

/** The k largest of each row, ties to the lower index; gradient to the values. */
export function topK(score_TE: Tensor, k: number): { value_TK: Tensor; index_TK: Tensor } {
  const [value_TK, index_TK] = apply(kernels.topK, [score_TE], { k });
  const columns = score_TE.shape[1];
  return {
    index_TK,
    value_TK: differentiable(value_TK, [[
      score_TE,
      (gradient) => apply(kernels.takeAlongGradient, [index_TK, gradient], { columns })[0],
    ]]),
  };
}

/** The reverse of {@linkcode takeAlong}: [T, K] values put at column indices of zeros, [T, E]; index -1 is left out. */
export function putAlong(value_TK: Tensor, index_TK: Tensor, columns: number): Tensor {
  return differentiable(apply(kernels.takeAlongGradient, [index_TK, value_TK], { columns })[0], [[
    value_TK,
    (gradient) => apply(kernels.takeAlong, [gradient, index_TK], {})[0],
  ]]);
}

/** The last two axes swapped: [..., R, C] -> [..., C, R]. */
export function transpose(x: Tensor): Tensor {
  const swap = (y: Tensor) => apply(kernels.transpose, [y], {})[0];
  return differentiable(swap(x), [[x, swap]]);
}

/** Whole numbers computed on the host, i32, on the backend of `like`. */
export function wholeNumbers(like: Tensor, shape: readonly number[], at: (index: number) => number): Tensor {
  const length = shape.reduce((product, dimension) => product * dimension, 1);
  return reshape(tensor(like.backend, Int32Array.from({ length }, (_, index) => at(index)), [length]), shape);
}
