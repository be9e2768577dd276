// Moving rows, with gradients. Gathering and combining are each other's gradient, and both are gathers underneath:
// nothing adds into shared memory, so results do not depend on the order of threads.
import * as kernels from "../kernels/mod.ts";
import { spending } from "./memory.ts";
import { apply, differentiable, type Tensor, tensor } from "./tensor.ts";

/**
 * N keys sorted by key, all i32: `order` lists places, -1 at the end for keys left out; `offset` ([count + 1]) where
 * each key begins; `position` the inverse of order, -1 for keys left out.
 */
export interface Groups {
  /** How many keys there are. */
  readonly count: number;
  /** The keys. */
  readonly key_N: Tensor;
  /** Places in order of their keys, N; -1 at the end for keys left out. */
  readonly order_N: Tensor;
  /** Where each key begins in that order, count + 1. */
  readonly offset_O: Tensor;
  /** Where each place went, N; -1 for keys left out. */
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
    const inputs = [gradient, everyRow(gradient), groups.order_N, groups.offset_O];
    return apply(kernels.combineRows, inputs, {})[0];
  }]]);
}

function everyRow(x_ND: Tensor): Tensor {
  return wholeNumbers(x_ND, [x_ND.shape[0]], (at) => at);
}

/**
 * Where each of `size` rows went, i32 [size]: `place` lists N of them, each at most once; -1 for the others. With it,
 * {@linkcode embedding} puts N rows back among `size`.
 * @example
 * ```ts
 * import { inverseOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(inverseOf(Int32Array.of(3, 0), 4), Int32Array.of(1, -1, -1, 0));
 * ```
 */
export function inverseOf(place_N: Int32Array, size: number): Int32Array {
  const inverse = new Int32Array(size).fill(-1);
  place_N.forEach((place, n) => inverse[place] = n);
  return inverse;
}

/** Tokens of N assignments, and how a token finds its own. */
export interface Assignments {
  /** Number of tokens. */
  readonly T: number;
  /** Token of each assignment, i32 [N]. */
  readonly token_N: Tensor;
  /** Assignments of every token when they are laid out [T, each]; nothing is sorted then. */
  readonly each?: number;
  /** Assignments sorted by token otherwise. */
  readonly byToken?: Groups;
}

/**
 * Assignments of T tokens from the token of each: laid out [T, each], or in any order (`each` null).
 * @throws {RangeError} when `each` assignments of T tokens are not as many as there are.
 * @example
 * ```ts
 * import { assignmentsOf, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(1, 0, 1), [3]);
 * const { byToken } = assignmentsOf(token_N, 2, null);
 * assertEquals(await byToken!.order_N.read(), Int32Array.of(1, 0, 2));
 * backend.close();
 * ```
 */
export function assignmentsOf(token_N: Tensor, T: number, each: number | null): Assignments {
  const [N] = token_N.shape;
  if (each === null && T > 0) return { T, token_N, byToken: groupBy(token_N, T) };
  const ofEach = each ?? 1; // of no token, in any layout
  if (N !== T * ofEach) {
    throw new RangeError(`Cannot lay out ${N} assignments as ${ofEach} of each of ${T} tokens`);
  }
  return { T, token_N, each: ofEach };
}

/** Tokens laid out for experts, gathered only where a product reads them: row p is of assignment `byExpert.order[p]`. */
export interface SortedRows {
  /** f32 [T, D]. */
  readonly x_TD: Tensor;
  /** Tokens of assignments. */
  readonly assignments: Assignments;
  /** Assignments in order of experts. */
  readonly byExpert: Groups;
  /** Row p is row floor(index[p] / each) of x; -1 past the last kept assignment. */
  readonly index_N: Tensor;
  /** Assignments of each token that share a row of x; 1 where the index names rows. */
  readonly each: number;
}

/**
 * Tokens sorted by expert, without copying them; {@linkcode groupedMatmul} takes the result.
 * @param byExpert Assignments grouped by expert.
 * @example
 * ```ts
 * import { assignmentsOf, cpu, groupBy, groupedMatmul, sortRows, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 1, 2), [3]);
 * const byExpert = groupBy(tensor(backend, Int32Array.of(1, -1, 0), [3]), 2); // token 1 is dropped
 * const rows = sortRows(tensor(backend, [10, 20, 30], [3, 1]), assignmentsOf(token_N, 3, 1), byExpert);
 * const weight_EDF = tensor(backend, [1, 2], [2, 1, 1]);
 * const y_NF = await groupedMatmul(rows, weight_EDF, byExpert.offset_O).read();
 * assertEquals(y_NF, Float32Array.of(30, 20, 0));
 * backend.close();
 * ```
 */
export function sortRows(x_TD: Tensor, assignments: Assignments, byExpert: Groups): SortedRows {
  const { each, token_N } = assignments;
  return each === undefined
    ? { x_TD, assignments, byExpert, index_N: take(token_N, byExpert.order_N), each: 1 }
    : { x_TD, assignments, byExpert, index_N: byExpert.order_N, each };
}

/** Sums of rows by token: `row_N` the row of each assignment. */
function sumByToken(
  rows_MD: Tensor,
  row_N: Tensor,
  { each, byToken }: Assignments,
  { weight_N, base_TD }: { readonly weight_N?: Tensor; readonly base_TD?: Tensor | undefined },
): Tensor {
  const inputs = [
    ...[rows_MD, row_N],
    ...(weight_N ? [weight_N] : []),
    ...(byToken ? [byToken.order_N, byToken.offset_O] : []),
    ...(base_TD ? [base_TD] : []),
  ];
  const params = { weighted: weight_N !== undefined, based: base_TD !== undefined };
  return apply(kernels.combineRows, inputs, each === undefined ? params : { ...params, each })[0];
}

/**
 * From a gradient of sorted rows, [N, D], to that of their tokens, [T, D]: what a product of sorted rows gives back.
 * @example
 * ```ts
 * import { assignmentsOf, cpu, groupBy, sortRows, tensor, unsortGradient } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 0, 1, 1), [4]);
 * const byExpert = groupBy(tensor(backend, Int32Array.of(1, 0, 1, -1), [4]), 2);
 * const rows = sortRows(tensor(backend, [10, 20], [2, 1]), assignmentsOf(token_N, 2, 2), byExpert);
 * const gradient_TD = unsortGradient(tensor(backend, [1, 2, 3, 0], [4, 1]), rows);
 * assertEquals(await gradient_TD.read(), Float32Array.of(3, 3)); // 2 + 1 and 3
 * backend.close();
 * ```
 */
export function unsortGradient(gradient_ND: Tensor, { assignments, byExpert }: SortedRows): Tensor {
  return sumByToken(gradient_ND, byExpert.position_N, assignments, {});
}

/**
 * Tokens laid out for experts, copied: [T, D] -> [N, D]; rows past the last kept assignment are zeros.
 * @example
 * ```ts
 * import { assignmentsOf, cpu, dispatchRows, groupBy, sortRows, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 1, 2), [3]);
 * const expert_N = tensor(backend, Int32Array.of(1, -1, 0), [3]); // token 1 is dropped
 * const x_TD = tensor(backend, [10, 20, 30], [3, 1]);
 * const rows = sortRows(x_TD, assignmentsOf(token_N, 3, 1), groupBy(expert_N, 2));
 * assertEquals(await dispatchRows(rows).read(), Float32Array.of(30, 10, 0));
 * backend.close();
 * ```
 */
export function dispatchRows(rows: SortedRows): Tensor {
  const { x_TD, assignments: { token_N, each }, byExpert } = rows;
  const copied_PD = each === undefined
    ? take(x_TD, rows.index_N)
    : spending(take(token_N, byExpert.order_N), (token_P) => take(x_TD, token_P));
  return differentiable(copied_PD, [[x_TD, (gradient) => unsortGradient(gradient, rows)]]);
}

/**
 * Rows in the order of one grouping of N assignments, put in the order of another, [N, D]; 0 where the first leaves an
 * assignment out.
 * @example
 * ```ts
 * import { cpu, groupBy, regroupRows, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const grouped = (...key: number[]) => groupBy(tensor(backend, Int32Array.from(key), [3]), 3);
 * const rows_ND = tensor(backend, [10, 20, 0], [3, 1]); // of assignments 2 and 0
 * assertEquals(await regroupRows(rows_ND, grouped(1, -1, 0), grouped(2, 1, 0)).read(), Float32Array.of(10, 0, 20));
 * backend.close();
 * ```
 */
export function regroupRows(rows_ND: Tensor, from: Groups, to: Groups): Tensor {
  const move = (x_ND: Tensor, a: Groups, b: Groups) =>
    spending(take(a.position_N, b.order_N), (place_N) => take(x_ND, place_N));
  return differentiable(move(rows_ND, from, to), [[rows_ND, (gradient) => move(gradient, to, from)]]);
}

/** What {@linkcode combineRows} may do besides. */
export interface CombineOptions {
  /** Scales the gradient that flows back into each assignment's row, f32 [N]; the sum is untouched. */
  readonly gradientWeight_N?: Tensor | undefined;
  /** What is added to, f32 [T, D]: the residual. */
  readonly base_TD?: Tensor | undefined;
}

/**
 * Expert outputs summed back by token, [T, D]: y[t] = sum over assignments n of t of weight[n] rows[position[n]].
 * Gradients reach the rows, the weights and the base.
 * @example
 * ```ts
 * import { assignmentsOf, combineRows, cpu, groupBy, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const token_N = tensor(backend, Int32Array.of(0, 0, 1), [3]);
 * const expert_N = tensor(backend, Int32Array.of(1, 0, -1), [3]); // token 1 is dropped
 * const rows_ND = tensor(backend, [10, 20, 0], [3, 1]); // of expert 0, of expert 1, of no expert
 * const weight_N = tensor(backend, [0.5, 2, 1], [3]);
 * const y_TD = combineRows(rows_ND, weight_N, assignmentsOf(token_N, 2, null), groupBy(expert_N, 2));
 * assertEquals(await y_TD.read(), Float32Array.of(30, 0));
 * backend.close();
 * ```
 */
export function combineRows(
  rows_ND: Tensor,
  weight_N: Tensor,
  assignments: Assignments,
  byExpert: Groups,
  { gradientWeight_N, base_TD }: CombineOptions = {},
): Tensor {
  const { token_N, each } = assignments;
  const y_TD = sumByToken(rows_ND, byExpert.position_N, assignments, { weight_N, base_TD });
  return differentiable(y_TD, [
    [rows_ND, (gradient) => {
      const factor_N = gradientWeight_N
        ? apply(kernels.binary, [weight_N, gradientWeight_N], { op: "multiply" })[0]
        : weight_N;
      const inputs = [gradient, byExpert.order_N, factor_N];
      return each === undefined
        ? apply(kernels.combineRowsGradient, [...inputs, token_N], {})[0]
        : apply(kernels.combineRowsGradient, inputs, { each })[0];
    }],
    [
      weight_N,
      (gradient) => apply(kernels.rowDot, [rows_ND, byExpert.position_N, gradient, token_N], {})[0],
    ],
    ...(base_TD ? [[base_TD, (gradient: Tensor) => gradient] as const] : []),
  ]);
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
