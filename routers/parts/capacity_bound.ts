// The least capacity that lets an expert meet one token it is meant for (LocMoE, theorem 1): tokens uniform on the unit
// sphere of R^D belong to an expert when the cosine of their angle is delta or more in size.
import jstat from "jstat";

/** The part of jstat used here; the package ships no types. */
interface SpecialFunctions {
  ibeta(x: number, a: number, b: number): number;
  erfc(x: number): number;
}
const { ibeta, erfc }: SpecialFunctions = jstat;

/** The exact bound, its limit for wide models, and a bound below both. */
export type BoundForm = "exact" | "erfc" | "exponential";

/**
 * p_delta = 1 - I_{delta^2}(1/2, (D - 1)/2) (lemma 3, equation 8): probability that a token lies within `delta` of an
 * expert's line. It counts both caps, |cos| >= delta, as the lemma does; assumption 3 alone would give half.
 * @throws {RangeError} when delta is no cosine from 0 to 1 or D is below 2.
 * @example
 * ```ts
 * import { capProbability } from "@switchyard/moe";
 * import { assertAlmostEquals } from "@std/assert";
 * assertAlmostEquals(capProbability(0.5, 3), 0.5, 1e-12); // in space, one coordinate of a direction is uniform
 * ```
 */
export function capProbability(delta: number, D: number): number {
  if (!(delta >= 0 && delta <= 1) || !Number.isInteger(D) || D < 2) {
    throw new RangeError(
      `Cannot take the cap of cosine ${delta} in ${D} dimensions: choose a cosine from 0 to 1 and 2 dimensions or more`,
    );
  }
  // 1 - I_x(a, b) = I_{1-x}(b, a), without the cancellation that would eat small probabilities.
  return ibeta(1 - delta ** 2, (D - 1) / 2, 1 / 2);
}

/**
 * Least tokens an expert must take (theorem 1, equation 9), not rounded; it exceeds any batch soon as delta grows, so
 * whoever uses it clamps it.
 * @example
 * ```ts
 * import { capacityBound } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const sizes = { E: 16, D: 5120, delta: 0.03 };
 * assertEquals(capacityBound("exact", sizes).toFixed(3), "1.965");
 * assertEquals(capacityBound("exponential", sizes).toFixed(3), "0.627");
 * ```
 */
export function capacityBound(
  form: BoundForm,
  { E, D, delta }: { E: number; D: number; delta: number },
): number {
  const square = delta ** 2 * D / (2 - delta ** 2);
  switch (form) {
    case "exact":
      return 1 / (E * capProbability(delta, D));
    case "erfc":
      return 1 / (E * erfc(Math.sqrt(square)));
    case "exponential":
      return Math.exp(square) / E;
    default:
      return form satisfies never;
  }
}
