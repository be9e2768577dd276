// How many roundings lie behind a result: what tolerances between two backends are derived from.
import type { Backend } from "../kernels/kernel.ts";

/** Half a step of f32 at 1: the most that one rounding moves a number of size 1. */
export const EPSILON = 2 ** -24;

/** A backend that adds up the roundings its results may have gone through, on itself and on a GPU. */
export function counting(backend: Backend): { backend: Backend; roundings(): number } {
  let roundings = 0;
  return {
    roundings: () => roundings,
    backend: {
      ...backend,
      run(kernel, inputs, params) {
        const types = inputs.map((input) => input.type);
        const own = kernel.rounding(types, params);
        roundings += own + (kernel.gpuRounding?.(types, params) ?? own);
        return backend.run(kernel, inputs, params);
      },
    },
  };
}

/**
 * How far numbers of size 1 may lie apart after so many roundings on both sides. Roundings have nothing to do with each
 * other, so their variances add: a third of a squared epsilon each. Six standard deviations are allowed.
 */
export function apart(roundings: number): number {
  return 6 * EPSILON * Math.sqrt(roundings / 3);
}
