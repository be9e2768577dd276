// Arrays on the host, end to end.

/**
 * The values of all parts, one part after another, in a new array.
 * @param kind The array to make: `Float32Array`, `Int32Array` or `Uint8Array`.
 */
export function joined<A extends Float32Array | Int32Array | Uint8Array>(
  kind: new (length: number) => A,
  parts: readonly ArrayLike<number>[],
): A {
  const whole = new kind(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
