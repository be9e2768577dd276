// Stand-in for jsr:@std/assert with the same signatures, for checkouts that cannot reach JSR. Equality is node's strict
// one, which refuses everything std refuses and also tells 0 from -0.
import { AssertionError as NodeAssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";

/** Thrown by every assertion here. */
export class AssertionError extends NodeAssertionError {
  constructor(message: string, options?: ErrorOptions) {
    super({ message });
    this.name = "AssertionError";
    if (options?.cause !== undefined) this.cause = options.cause;
  }
}

// deno-lint-ignore no-explicit-any -- std's own signature
type Constructor<T> = abstract new (...args: any[]) => T;
type ArrayLikeArg<T> = ArrayLike<T> & object;

function show(value: unknown): string {
  return inspect(value, { depth: 8, maxArrayLength: 40, breakLength: 100 });
}

function refuse(found: string, msg?: string): never {
  throw new AssertionError(msg === undefined ? found : `${found}: ${msg}`);
}

export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

export function assertFalse(expr: unknown, msg?: string): void {
  if (expr) refuse(`Expected a falsy value, got ${show(expr)}`, msg);
}

export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!isDeepStrictEqual(actual, expected)) {
    refuse(`Values are not equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
  }
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) refuse(`Expected actual: ${show(actual)} not to be expected`, msg);
}

export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (!Object.is(actual, expected)) {
    refuse(`Values are not strictly equal\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`, msg);
  }
}

export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) refuse(`Expected actual to not strictly be ${show(expected)}`, msg);
}

export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance = Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7,
  msg?: string,
): void {
  if (Object.is(actual, expected) || Math.abs(expected - actual) <= tolerance) return;
  refuse(`Expected ${actual} to be within ${tolerance} of ${expected}`, msg);
}

export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: Constructor<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) refuse(`Expected an Error, got ${show(error)}`, msg);
  if (ErrorClass && !(error instanceof ErrorClass)) {
    refuse(
      `Expected error to be instance of "${ErrorClass.name}", was "${error.name}" (${error.message})`,
      msg,
    );
  }
  const matches = msgMatches instanceof RegExp
    ? msgMatches.test(error.message)
    : error.message.includes(msgMatches ?? "");
  if (!matches) {
    refuse(`Expected error message to include ${show(msgMatches)}, but got ${show(error.message)}`, msg);
  }
}

type ClassOrMessage = Constructor<Error> | string | undefined;

function checkThrown(error: unknown, first: ClassOrMessage, msgIncludes?: string, msg?: string): unknown {
  if (typeof first === "function") assertIsError(error, first, msgIncludes, msg);
  return error;
}

export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  first?: ClassOrMessage,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    return checkThrown(error, first, msgIncludes, msg);
  }
  refuse("Expected function to throw", typeof first === "string" ? first : msg);
}

export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  first?: ClassOrMessage,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    refuse(`Function throws when expected to reject (${error})`, msg);
  }
  try {
    await promise;
  } catch (error) {
    return checkThrown(error, first, msgIncludes, msg);
  }
  refuse("Expected function to reject", typeof first === "string" ? first : msg);
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) {
    refuse(`Expected actual: ${show(actual)} to contain: ${show(expected)}`, msg);
  }
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) refuse(`Expected actual: ${show(actual)} to match: ${expected}`, msg);
}

export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) refuse(`Expected actual: ${show(actual)} to not match: ${expected}`, msg);
}

export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    refuse(`Expected actual: ${actual} to not be null or undefined`, msg);
  }
}

export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) refuse(`Expect ${show(actual)} > ${show(expected)}`, msg);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) refuse(`Expect ${show(actual)} >= ${show(expected)}`, msg);
}

export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) refuse(`Expect ${show(actual)} < ${show(expected)}`, msg);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) refuse(`Expect ${show(actual)} <= ${show(expected)}`, msg);
}

export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const held = Array.from(actual);
  const missing = Array.from(expected).filter((wanted) =>
    !held.some((value) => isDeepStrictEqual(value, wanted))
  );
  if (missing.length > 0) {
    refuse(
      `Expected actual: ${show(actual)} to include: ${show(expected)}\n  missing: ${show(missing)}`,
      msg,
    );
  }
}

export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Constructor<T>,
  msg = "",
): asserts actual is T {
  if (!(actual instanceof expectedType)) {
    refuse(
      `Expected object to be an instance of "${expectedType.name}", was ${show(actual)}`,
      msg || undefined,
    );
  }
}

export function assertNotInstanceOf<A, T>(
  actual: A,
  unexpectedType: Constructor<T>,
  msg?: string,
): asserts actual is Exclude<A, T> {
  if (actual instanceof unexpectedType) {
    refuse(`Expected object to not be an instance of "${unexpectedType.name}"`, msg);
  }
}

export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- std's own signature
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  function matches(value: unknown, wanted: unknown): boolean {
    if (typeof wanted !== "object" || wanted === null || Array.isArray(wanted)) {
      return isDeepStrictEqual(value, wanted);
    }
    if (typeof value !== "object" || value === null) return false;
    return Object.entries(wanted).every(([key, inner]) =>
      matches((value as Record<string, unknown>)[key], inner)
    );
  }
  if (!matches(actual, expected)) refuse(`Expected ${show(actual)} to match ${show(expected)}`, msg);
}

export function equal(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

export function fail(msg?: string): never {
  refuse("Failed assertion", msg);
}

export function unimplemented(msg?: string): never {
  refuse("Unimplemented", msg);
}

export function unreachable(msg?: string): never {
  refuse("Unreachable", msg);
}
