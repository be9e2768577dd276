// What is known of traced values without their numbers: how many tokens their shapes count, which numbers repeat from token to
// token, and which values are never below 0.
import type { HostArray } from "../../kernels/kernel.ts";
import type { Step, Traced } from "./trace.ts";

/** Primes to choose from: large, so that limits that hold for few tokens are seen; small, so that a trace takes little memory. */
const PRIMES = [4099, 4111, 4127, 4129, 4133, 4139];

/**
 * Tokens of a trace: a prime that divides no size of the model, so that a size that is a multiple of it counts tokens, or
 * something that each token has as many of.
 * @param sizes Every size that the model's parameters have.
 */
export function chooseTokens(sizes: readonly number[]): number {
  const found = PRIMES.find((prime) => sizes.every((size) => size % prime !== 0));
  if (found === undefined) {
    throw new RangeError(
      `Cannot export the model: its sizes are multiples of each of ${
        PRIMES.join(", ")
      }, by which tokens are told apart`,
    );
  }
  return found;
}

/** A shape with -1 where it counts tokens, as ONNX's Reshape takes it. */
export function openShape(shape: readonly number[], tokens: number): number[] {
  return shape.map((size) => size % tokens === 0 ? -1 : size);
}

/** True when an axis counts tokens. */
export function countsTokens(shape: readonly number[], axis: number, tokens: number): boolean {
  const size = shape.at(axis);
  return size !== undefined && size % tokens === 0;
}

/** Numbers that go on from token to token: value j of token t is `first[j] + t step`. */
export interface PerToken {
  readonly first: HostArray;
  readonly step: number;
}

/** The pattern of numbers that come with every token, or null where they follow none. */
export function patternOf(values: HostArray, tokens: number): PerToken | null {
  const each = values.length / tokens;
  if (!Number.isInteger(each) || each === 0) return null;
  const step = values instanceof Int32Array ? values[each] - values[0] : 0;
  for (let at = each; at < values.length; at++) {
    if (!Object.is(values[at], values[at - each] + step)) return null;
  }
  return { first: values.slice(0, each), step };
}

const positive = ["relu", "exp", "square", "sqrt", "sigmoid"];

/** Tells of values whether they are never below 0, as far as the steps that made them tell. Each is looked at once. */
export function signs(): (value: Traced) => boolean {
  const known = new Map<Traced, boolean>();
  const isNeverNegative = (value: Traced): boolean => {
    let found = known.get(value);
    if (found === undefined) known.set(value, found = look(value));
    return found;
  };
  const look = ({ origin, type }: Traced): boolean => {
    switch (origin.kind) {
      case "input":
        return type.dtype === "i32";
      case "stored":
        return false;
      case "numbers":
        return origin.values.every((one) => one >= 0);
      case "view":
        return isNeverNegative(origin.of);
      case "made":
        return lookAtStep(origin.step, origin.output, isNeverNegative);
    }
  };
  return isNeverNegative;
}

function lookAtStep(
  { kernel, inputs, params }: Step,
  output: number,
  isNeverNegative: (value: Traced) => boolean,
): boolean {
  const all = (...places: readonly number[]) => places.every((place) => isNeverNegative(inputs[place]));
  switch (kernel) {
    case "softmax":
      return true;
    case "unary":
      return positive.includes(String(params.op));
    case "binary":
      return params.op === "greater" || params.op === "maximum" && (all(0) || all(1)) ||
        params.op !== "subtract" && all(0, 1);
    case "affine":
      return Number(params.shift) >= 0 && (params.scale === 0 || Number(params.scale) > 0 && all(0));
    case "where":
      return all(1, 2);
    case "top_k":
      return output === 1 || all(0);
    case "gather_rows":
      // Whole numbers are -1 where the index is.
      return inputs[0].type.dtype === "f32" ? all(0) : all(0, 1);
    case "take_along_gradient":
      return all(1);
    case "matmul":
      return all(0, 1);
    case "take_along":
    case "sum_last":
    case "sum_first":
    case "transpose":
    case "to_float":
    case "to_half":
      return all(0);
    default:
      return false;
  }
}
