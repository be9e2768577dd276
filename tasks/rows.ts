// Batches for tasks whose examples are rows of a table: drawn at random, walked through epoch by epoch, or in order.
// A training batch is a pure function of the stream, the step and the shape, as it is for text (data/batches.ts).
import type { BatchShape, TrainingShape } from "./task.ts";

/** Tokens of a shard's block of the batch, and rows of its part. */
function partsOf(
  rows: number,
  { batch, length, shards = 1 }: TrainingShape,
): { block: number; part: number } {
  const sequences = checkShape({ batch, length }).batch / shards;
  const part = Math.floor(rows / shards);
  if (!Number.isInteger(sequences) || part < 1) {
    throw new RangeError(
      `Cannot make batches of ${batch} sequences from ${shards} parts of ${rows} examples: choose a number of parts ` +
        "that divides the batch and leaves each part an example",
    );
  }
  return { block: sequences * length, part };
}

/** The shape, if it is one. */
function checkShape(shape: BatchShape): BatchShape {
  for (const [name, value] of [["sequences", shape.batch], ["tokens a sequence", shape.length]] as const) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`Cannot make a batch of ${value} ${name}: choose a whole number of at least 1`);
    }
  }
  return shape;
}

/**
 * Rows below `rows` by step, drawn with replacement: [batch x length] each.
 * @throws {RangeError} when the shape is none, or has more parts than fit.
 * @example
 * ```ts
 * import { drawRows, random } from "@switchyard/moe";
 * import { assert, assertEquals } from "@std/assert";
 * const rowsAt = drawRows(10, { batch: 2, length: 3, random: random(0) });
 * assertEquals(rowsAt(5), rowsAt(5)); // a function of the step alone
 * assert(rowsAt(5).length === 6 && rowsAt(5).every((row) => row < 10));
 * ```
 */
export function drawRows(rows: number, shape: TrainingShape): (step: number) => Int32Array {
  const { block, part } = partsOf(rows, shape);
  return (step) => {
    const draws = shape.random.split(step).uniform(shape.batch * shape.length);
    // A loop, not Int32Array.from, which takes ten times as long.
    const rows_T = new Int32Array(draws.length);
    for (let at = 0; at < draws.length; at++) {
      rows_T[at] = Math.floor(at / block) * part + Math.floor(draws[at] * part);
    }
    return rows_T;
  };
}

/**
 * Rows below `rows` by step, each once an epoch, in an order that every epoch draws anew; a batch may span epochs.
 * @throws {RangeError} when the shape is none, or has more parts than fit.
 * @example
 * ```ts
 * import { random, walkRows } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const rowsAt = walkRows(6, { batch: 1, length: 3, random: random(0) });
 * assertEquals([...rowsAt(0), ...rowsAt(1)].sort(), [0, 1, 2, 3, 4, 5]);
 * ```
 */
export function walkRows(rows: number, shape: TrainingShape): (step: number) => Int32Array {
  const { block, part } = partsOf(rows, shape);
  let latest: { readonly epoch: number; readonly order: Int32Array } | undefined;
  const orderOf = (epoch: number) => {
    if (latest?.epoch !== epoch) {
      latest = { epoch, order: shape.random.split("order").split(epoch).permutation(part) };
    }
    return latest.order;
  };
  return (step) =>
    Int32Array.from({ length: shape.batch * shape.length }, (_, at) => {
      const place = step * block + at % block;
      return Math.floor(at / block) * part + orderOf(Math.floor(place / part))[place % part];
    });
}

/**
 * Rows from `first` up to `end` in order, cut into batches of batch x length; the last may be smaller.
 * @throws {RangeError} when the shape is none.
 * @example
 * ```ts
 * import { rowsInOrder } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(rowsInOrder(4, 9, { batch: 1, length: 3 }), [Int32Array.of(4, 5, 6), Int32Array.of(7, 8)]);
 * ```
 */
export function rowsInOrder(first: number, end: number, shape: BatchShape): Int32Array[] {
  const { batch, length } = checkShape(shape);
  const size = batch * length;
  return Array.from({ length: Math.ceil((end - first) / size) }, (_, at) => {
    const start = first + at * size;
    return Int32Array.from({ length: Math.min(size, end - start) }, (_, row) => start + row);
  });
}

/**
 * Lengths of the sequences that T tokens make, the last one shorter where they do not come out even.
 * @example
 * ```ts
 * import { sequenceLengths } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(sequenceLengths(8, 3), [3, 3, 2]);
 * ```
 */
export function sequenceLengths(T: number, length: number): number[] {
  return Array.from({ length: Math.ceil(T / length) }, (_, at) => Math.min(length, T - at * length));
}
