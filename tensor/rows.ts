// Moving rows, with gradients. Gathering and combining are each other's gradient, and both are gathers underneath:
// nothing adds into shared memory, so results do not depend on the order of threads.
import * as kernels from "../kernels/mod.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "./tensor.ts";

/**
 * N keys sorted by key, all i32: `order` lists places, -1 at the end for keys left out; `offset` ([count + 1]) where
 * each key begins; `position` the inverse of order, -1 for keys left out.
 */
export interface Groups {
  readonly count: number;
  readonly key_N: Tensor;
  readonly order_N: Tensor;
  readonly offset_O: Tensor;
  readonly position_N: Tensor;
}

/**
 * Stable counting sort of i32 keys 0..groups-1; keys outside are left out (position -1, order's tail -1).
 * @throws {RangeError} when `groups` is not a whole number from 1.
 * @example
 * ```ts
 * import { cpu, groupBy, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const found = groupBy(tensor(backend, Int32Array.of(1, 0, -1, 1), [4]), 2);
 * assertEquals(await found.order_N.read(), Int32Array.of(1, 0, 3, -1));
 * assertEquals(await found.offset_O.read(), Int32Array.of(0, 1, 3));
 * assertEquals(await found.position_N.read(), Int32Array.of(1, 0, -1, 2));
 * backend.close();
 * ```
 */
export function groupBy(key_N: Tensor, groups: number): Groups {
  const [order_N, offset_O, position_N] = apply(kernels.groupBy, [key_N], { groups });
  return { count: groups, key_N, order_N, offset_O, position_N };
}

/**
 * How often each key 0..groups-1 occurs, i32 [groups]; other keys are not counted.
 * @throws {RangeError} when `groups` is not a whole number from 1.
 * @example
 * ```ts
 * import { count, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const count_E = count(tensor(backend, Int32Array.of(1, 0, -1, 1), [4]), 3);
 * assertEquals(await count_E.read(), Int32Array.of(1, 2, 0));
 * backend.close();
 * ```
 */
export function count(key: Tensor, groups: number): Tensor {
  return apply(kernels.count, [key], { groups })[0];
}

/**
 * Rows at the given indices, [R, ...] at [N] -> [N, ...], without gradient; index -1 gives zeros, or -1 in whole
 * numbers, where 0 would name something.
 * @example
 * ```ts
 * import { cpu, take, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const rows = take(tensor(backend, [10, 20, 30], [3, 1]), tensor(backend, Int32Array.of(2, -1), [2]));
 * assertEquals(await rows.read(), Float32Array.of(30, 0));
 * backend.close();
 * ```
 */
export function take(x: Tensor, index_N: Tensor): Tensor {
  return apply(kernels.gatherRows, [x, index_N], {})[0];
}

/**
 * Rows of a table: [R, D] at [N] -> [N, D]; index -1 gives zeros. The gradient sums rows that were taken twice.
 * @example
 * ```ts
 * import { cpu, embedding, gradients, parameter, sumAll, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const table_RD = parameter(backend, Float32Array.of(10, 20, 30), [3, 1]);
 * const rows_ND = embedding(table_RD, tensor(backend, Int32Array.of(2, 0, 2), [3]));
 * assertEquals(await rows_ND.read(), Float32Array.of(30, 10, 30));
 * const [gradient] = await gradients(sumAll(rows_ND), [table_RD]);
 * assertEquals(await gradient!.read(), Float32Array.of(1, 0, 2));
 * backend.close();
 * ```
 */
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
 * Tokens laid out for experts, [T, D] -> [N, D]: row p is the token of assignment `byExpert.order[p]`; rows past the
 * last kept assignment are zeros.
 * @param token_N Token of each assignment. @param byToken Assignments grouped by token.
 * @example
 * ```ts
 * import { cpu, dispatchRows, groupBy, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 1, 2), [3]);
 * const expert_N = tensor(backend, Int32Array.of(1, -1, 0), [3]); // token 1 is dropped
 * const x_TD = tensor(backend, [10, 20, 30], [3, 1]);
 * const rows_ND = await dispatchRows(x_TD, token_N, groupBy(expert_N, 2), groupBy(token_N, 3)).read();
 * assertEquals(rows_ND.slice(0, 2), Float32Array.of(30, 10));
 * backend.close();
 * ```
 */
export function dispatchRows(x_TD: Tensor, token_N: Tensor, byExpert: Groups, byToken: Groups): Tensor {
  const tokenOfRow = take(token_N, byExpert.order_N);
  return differentiable(take(x_TD, tokenOfRow), [[
    x_TD,
    (gradient) => combine(gradient, byExpert.position_N, ones(byExpert.position_N), byToken),
  ]]);
}

/**
 * Expert outputs summed back by token, [T, D]: y[t] = sum over assignments n of t of weight[n] rows[position[n]].
 * Gradients reach the rows and the weights.
 * @example
 * ```ts
 * import { combineRows, cpu, groupBy, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 0, 1), [3]);
 * const expert_N = tensor(backend, Int32Array.of(1, 0, -1), [3]); // token 1 is dropped
 * const rows_ND = tensor(backend, [10, 20, 0], [3, 1]); // of expert 0, of expert 1, of nobody
 * const weight_N = tensor(backend, [0.5, 2, 1], [3]);
 * const y_TD = combineRows(rows_ND, weight_N, token_N, groupBy(expert_N, 2), groupBy(token_N, 2));
 * assertEquals(await y_TD.read(), Float32Array.of(30, 0));
 * backend.close();
 * ```
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

/**
 * The same rows; the gradient of row n is multiplied by factor[n] on its way back.
 * @example
 * ```ts
 * import { cpu, gradients, parameter, scaleGradient, sumAll, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const rows_ND = parameter(backend, Float32Array.of(5, 7), [2, 1]);
 * const same_ND = scaleGradient(rows_ND, tensor(backend, [0, 3], [2]));
 * assertEquals(await same_ND.read(), Float32Array.of(5, 7));
 * const [gradient] = await gradients(sumAll(same_ND), [rows_ND]);
 * assertEquals(await gradient!.read(), Float32Array.of(0, 3));
 * backend.close();
 * ```
 */
export function scaleGradient(rows_ND: Tensor, factor_N: Tensor): Tensor {
  const factor_N1 = reshape(factor_N, [factor_N.shape[0], 1]);
  return differentiable(stopGradient(rows_ND), [[
    rows_ND,
    (gradient) => apply(kernels.binary, [gradient, factor_N1], { op: "multiply" })[0],
  ]]);
}

/**
 * Values at column indices of each row: [T, E] at [T, K] -> [T, K]; index -1 gives 0.
 * @example
 * ```ts
 * import { cpu, takeAlong, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const x_TE = tensor(backend, [1, 2, 3, 4, 5, 6], [2, 3]);
 * const y_TK = takeAlong(x_TE, tensor(backend, Int32Array.of(2, -1), [2, 1]));
 * assertEquals(await y_TK.read(), Float32Array.of(3, 0));
 * backend.close();
 * ```
 */
export function takeAlong(x_TE: Tensor, index_TK: Tensor): Tensor {
  const columns = x_TE.shape[1];
  return differentiable(apply(kernels.takeAlong, [x_TE, index_TK], {})[0], [[
    x_TE,
    (gradient) => apply(kernels.takeAlongGradient, [index_TK, gradient], { columns })[0],
  ]]);
}

/**
 * The k largest of each row, largest first, ties to the lower index; gradient to the values.
 * @throws {RangeError} when k is not a whole number from 1 to E.
 * @example
 * ```ts
 * import { cpu, tensor, topK } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const { value_TK, index_TK } = topK(tensor(backend, [0.1, 0.6, 0.3], [1, 3]), 2);
 * assertEquals(await value_TK.read(), Float32Array.of(0.6, 0.3));
 * assertEquals(await index_TK.read(), Int32Array.of(1, 2));
 * backend.close();
 * ```
 */
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

/**
 * The reverse of {@linkcode takeAlong}: [T, K] values put at column indices of zeros, [T, E]; index -1 is left out.
 * @example
 * ```ts
 * import { cpu, putAlong, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const index_TK = tensor(backend, Int32Array.of(2, 0), [1, 2]);
 * const y_TE = putAlong(tensor(backend, [5, 7], [1, 2]), index_TK, 4);
 * assertEquals(await y_TE.read(), Float32Array.of(7, 0, 5, 0));
 * backend.close();
 * ```
 */
export function putAlong(value_TK: Tensor, index_TK: Tensor, columns: number): Tensor {
  return differentiable(apply(kernels.takeAlongGradient, [index_TK, value_TK], { columns })[0], [[
    value_TK,
    (gradient) => apply(kernels.takeAlong, [gradient, index_TK], {})[0],
  ]]);
}

/**
 * The last two axes swapped: [..., R, C] -> [..., C, R].
 * @example
 * ```ts
 * import { cpu, tensor, transpose } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = transpose(tensor(backend, [1, 2, 3, 4, 5, 6], [2, 3]));
 * assertEquals(y.shape, [3, 2]);
 * assertEquals(await y.read(), Float32Array.of(1, 4, 2, 5, 3, 6));
 * backend.close();
 * ```
 */
export function transpose(x: Tensor): Tensor {
  const swap = (y: Tensor) => apply(kernels.transpose, [y], {})[0];
  return differentiable(swap(x), [[x, swap]]);
}

/**
 * Whole numbers computed on the host from their place, i32, on the backend of `like`.
 * @example
 * ```ts
 * import { cpu, tensor, wholeNumbers } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_TK = wholeNumbers(tensor(backend, [0], [1]), [2, 2], (at) => Math.floor(at / 2));
 * assertEquals(await token_TK.read(), Int32Array.of(0, 0, 1, 1));
 * backend.close();
 * ```
 */
export function wholeNumbers(like: Tensor, shape: readonly number[], at: (index: number) => number): Tensor {
  // A loop, not Int32Array.from, which takes ten times as long.
  const values = new Int32Array(shape.reduce((product, dimension) => product * dimension, 1));
  for (let index = 0; index < values.length; index++) values[index] = at(index);
  return tensor(like.backend, values, shape);
}
