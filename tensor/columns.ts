// Columns, the last axis: a block of them taken out, and arrays side by side. Each is the other's gradient.
import { shapeText } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { spending } from "./memory.ts";
import { apply, differentiable, reshape, type Tensor } from "./tensor.ts";

/**
 * Columns `from` to `to` - 1: [..., C] -> [..., to - from], f32 or i32. Gradient of the other columns: 0.
 * @throws {RangeError} unless 0 <= from <= to <= C, in whole numbers.
 * @example
 * ```ts
 * import { cpu, sliceColumns, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const y = sliceColumns(tensor(backend, [1, 2, 3, 4, 5, 6], [2, 3]), 1, 3);
 * assertEquals(y.shape, [2, 2]);
 * assertEquals(await y.read(), Float32Array.of(2, 3, 5, 6));
 * backend.close();
 * ```
 */
export function sliceColumns(x: Tensor, from: number, to: number): Tensor {
  const columns = x.shape[x.shape.length - 1];
  if (![from, to].every(Number.isInteger) || from < 0 || to < from || to > columns) {
    throw new RangeError(
      `Cannot slice columns ${from} to ${to} of shape ${shapeText(x.shape)}: they must be whole numbers, ` +
        `0 or more, the second no smaller than the first and at most ${columns}`,
    );
  }
  if (to - from === columns) return reshape(x, x.shape);
  const [y] = apply(kernels.copyColumns, [x], { from, columns: to - from });
  return differentiable(y, [[
    x,
    (gradient) => apply(kernels.copyColumns, [gradient], { from: -from, columns })[0],
  ]]);
}

/**
 * Arrays side by side: [..., C1], [..., C2], ... -> [..., C1 + C2 + ...], all f32 or all i32.
 * @throws {RangeError} when there is none, or shapes differ before the last axis; {TypeError} when element types do.
 * @example
 * ```ts
 * import { concatColumns, cpu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const [a, b] = [tensor(backend, [1, 2], [2, 1]), tensor(backend, [3, 4, 5, 6], [2, 2])];
 * const y = concatColumns([a, b]);
 * assertEquals(y.shape, [2, 3]);
 * assertEquals(await y.read(), Float32Array.of(1, 3, 4, 2, 5, 6));
 * backend.close();
 * ```
 */
export function concatColumns(parts: readonly Tensor[]): Tensor {
  const [first, ...rest] = parts;
  if (!first) throw new RangeError("Cannot join columns of no arrays: give one or more");
  for (const part of rest) refuseMisfit(first, part);
  const widths = parts.map(({ shape }) => shape[shape.length - 1]);
  const starts = widths.map((_, at) => widths.slice(0, at).reduce((sum, width) => sum + width, 0));
  const columns = widths.reduce((sum, width) => sum + width, 0);
  const [start] = apply(kernels.copyColumns, [first], { from: 0, columns });
  const y = rest.reduce(
    (joined, part, at) =>
      spending(
        joined,
        (base) => apply(kernels.copyColumns, [part, base], { from: -starts[at + 1], columns })[0],
      ),
    start,
  );
  return differentiable(
    y,
    parts.map((part, at) => [
      part,
      (gradient) => apply(kernels.copyColumns, [gradient], { from: starts[at], columns: widths[at] })[0],
    ]),
  );
}

function refuseMisfit(first: Tensor, part: Tensor): void {
  if (part.dtype !== first.dtype) {
    throw new TypeError(`Cannot join columns of ${first.dtype} and ${part.dtype}: all must be of one kind`);
  }
  if (shapeText(part.shape.slice(0, -1)) !== shapeText(first.shape.slice(0, -1))) {
    throw new RangeError(
      `Cannot join columns of shapes ${shapeText(first.shape)} and ${shapeText(part.shape)}: ` +
        "they may differ in their last axis alone",
    );
  }
}
