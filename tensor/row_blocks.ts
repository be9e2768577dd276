// Blocks of rows, the first axis: rows lie one after the other, so as one long row they are columns.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import { concatColumns, sliceColumns } from "./columns.ts";
import { reshape, type Tensor } from "./tensor.ts";

/**
 * Rows `from` to `to` - 1, copied: [R, ...] -> [to - from, ...], f32 or i32. Gradient of the other rows: 0.
 * @throws {RangeError} unless 0 <= from <= to <= R, in whole numbers.
 * @example
 * ```ts
 * import { cpu, sliceRows, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sliceRows(tensor(backend, [1, 2, 3, 4, 5, 6], [3, 2]), 1, 3);
 * assertEquals([y.shape, await y.read()], [[2, 2], Float32Array.of(3, 4, 5, 6)]);
 * backend.close();
 * ```
 */
export function sliceRows(x: Tensor, from: number, to: number): Tensor {
  const [rows, ...rest] = x.shape;
  if (![from, to].every(Number.isInteger) || from < 0 || to < from || to > rows) {
    throw new RangeError(
      `Cannot slice rows ${from} to ${to} of shape ${shapeText(x.shape)}: they must be whole numbers, ` +
        `0 or more, the second no smaller than the first and at most ${rows}`,
    );
  }
  const width = sizeOf(rest);
  const block = sliceColumns(asOneRow(x), from * width, to * width);
  return reshape(block, [to - from, ...rest]);
}

/**
 * Arrays one below the other: [R1, ...], [R2, ...], ... -> [R1 + R2 + ..., ...], all f32 or all i32.
 * @throws {RangeError} when there is none, or shapes differ behind the first axis; {TypeError} when element types do.
 * @example
 * ```ts
 * import { concatRows, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = concatRows([tensor(backend, [1, 2], [1, 2]), tensor(backend, [3, 4, 5, 6], [2, 2])]);
 * assertEquals([y.shape, await y.read()], [[3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)]);
 * backend.close();
 * ```
 */
export function concatRows(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (!first) throw new RangeError("Cannot join rows of no arrays: give one or more");
  const rest = first.shape.slice(1);
  for (const { shape, dtype } of parts) {
    if (dtype !== first.dtype) {
      throw new TypeError(`Cannot join rows of ${first.dtype} and ${dtype}: all must be of one kind`);
    }
    if (shapeText(shape.slice(1)) !== shapeText(rest)) {
      throw new RangeError(
        `Cannot join rows of shapes ${shapeText(first.shape)} and ${shapeText(shape)}: ` +
          "they may differ in their first axis alone",
      );
    }
  }
  const rows = parts.reduce((sum, { shape }) => sum + shape[0], 0);
  return reshape(concatColumns(parts.map(asOneRow)), [rows, ...rest]);
}

function asOneRow(x: Tensor): Tensor {
  return reshape(x, [1, sizeOf(x.shape)]);
}
