// What kernels that treat every element alike share: blocks of 1024 elements as units, and the check of equal shapes.
import { type ArrayType, type CpuLaunch, shapeText, sizeOf } from "../kernel.ts";

/** Elements of a unit. */
export const BLOCK = 1024;

/** Units of 1024 elements; `nanoseconds` an element takes sets how many make a chunk worth a thread's while. */
export function elementwise(
  size: number,
  nanoseconds: number,
  values: { readonly integers?: readonly number[]; readonly floats?: readonly number[] } = {},
): CpuLaunch {
  return {
    units: Math.ceil(size / BLOCK),
    grain: grainFor(BLOCK * nanoseconds),
    integers: [size, ...values.integers ?? []],
    floats: values.floats ?? [],
  };
}

/** Units a chunk needs to take 10 microseconds. */
export function grainFor(unitNanoseconds: number): number {
  return Math.max(1, Math.ceil(10_000 / Math.max(1, unitNanoseconds)));
}

/** Checks that the first `count` inputs have one shape. */
export function sameShape(kernel: string, inputs: readonly ArrayType[], count: number = inputs.length): void {
  const want = shapeText(inputs[0].shape);
  for (let at = 1; at < count; at++) {
    const found = shapeText(inputs[at].shape);
    if (found !== want) {
      throw new RangeError(
        `Cannot run ${kernel}: input ${at} must have input 0's shape ${want}, not ${found}`,
      );
    }
  }
}

/** The shape without its last axis; one number remains [1]. */
export function withoutLast(shape: readonly number[]): number[] {
  return shape.length > 1 ? shape.slice(0, -1) : [1];
}

/** The number of elements of input 0. */
export function elements(inputs: readonly ArrayType[]): number {
  return sizeOf(inputs[0].shape);
}
