// Whether what a program computed is what its kernel's reference says, within the roundings the kernel declares: the
// contract suite and every bench judge by this.
import {
  type ArrayType,
  type DType,
  type HostArray,
  type Kernel,
  type NumberArray,
  shapeText,
  sizeOf,
} from "./kernel.ts";

/** A rounding, relative to the largest magnitude of an output. */
const EPSILON = 2 ** -24;
/** From here on a number rounds to infinity. */
const LARGEST: Readonly<Record<DType, number>> = { f32: 2 ** 128 - 2 ** 103, f16: 65520, i32: Infinity };

/** What a kernel's reference makes of inputs. */
export function referenceOf<P>(
  kernel: Kernel<P>,
  inputs: readonly HostArray[],
  types: readonly ArrayType[],
  params: P,
): NumberArray[] {
  const wanted = kernel.outputs(types, params).map(({ dtype, shape }): NumberArray =>
    dtype === "i32" ? new Int32Array(sizeOf(shape)) : new Float64Array(sizeOf(shape))
  );
  kernel.reference(inputs, wanted, types, params);
  return wanted;
}

/**
 * What is wrong with an output in one line, or null: whole numbers must be equal, floats within `rounding` roundings of
 * the largest value there is.
 */
export function disagreement(
  type: ArrayType,
  got: HostArray,
  reference: NumberArray,
  rounding: number,
): string | null {
  const shape = shapeText(type.shape);
  if (got.length !== reference.length) return `shape ${shape} has ${got.length} values`;
  const largest = LARGEST[type.dtype];
  let magnitude = 1;
  for (const value of reference) {
    if (Math.abs(value) < largest) magnitude = Math.max(magnitude, Math.abs(value));
  }
  const tolerance = type.dtype === "i32" ? 0 : rounding * EPSILON * magnitude;
  // A kernel without roundings is exact in f16 as well: its reference rounds.
  const stored = type.dtype === "f16" && rounding > 0;
  const wanted = (at: number) =>
    Math.abs(reference[at]) >= largest ? Math.sign(reference[at]) * Infinity : reference[at];
  let worst = -1;
  let worstExcess = 0;
  let wrong = 0;
  for (let at = 0; at < reference.length; at++) {
    const want = wanted(at);
    if (got[at] === want || (Number.isNaN(got[at]) && Number.isNaN(want))) continue;
    const distance = Math.abs(got[at] - want);
    const allowed = tolerance + (stored ? halfStep(want, tolerance) : 0);
    if (Number.isFinite(want) && distance <= allowed) continue;
    wrong++;
    const excess = Number.isFinite(distance) ? distance : Infinity;
    if (worst < 0 || excess > worstExcess) [worst, worstExcess] = [at, excess];
  }
  if (wrong === 0) return null;
  return `shape ${shape}: ${wrong} of ${reference.length} values are off; the worst is [${
    indexText(worst, type.shape)
  }]: got ${got[worst]}, want ${
    wanted(worst)
  }, tolerance ${tolerance} (${rounding} roundings of ${magnitude})`;
}

/** What storing a number within `tolerance` of `value` as f16 adds: half a step of its size, or of the smallest. */
function halfStep(value: number, tolerance: number): number {
  return Math.max(2 ** -11 * (Math.abs(value) + tolerance), 2 ** -25);
}

function indexText(flat: number, shape: readonly number[]): string {
  const index: number[] = [];
  for (let axis = shape.length - 1, rest = flat; axis >= 0; axis--) {
    index.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return index.join(", ");
}
