// Weights of experts as a target wants them: a part of a parameter, or a parameter in another order, made when it is written.
import type { Name } from "./graph.ts";
import type { Lowering, Stored } from "./lowering.ts";
import type { Traced } from "./trace.ts";

/** Numbers of a parameter in another order, under a name that says which. */
export function reordered(
  on: Lowering,
  { name, read }: Stored,
  suffix: string,
  shape: readonly number[],
  order: (values: Float32Array) => Float32Array,
): Name {
  const size = shape.reduce((product, one) => product * one, 1);
  return on.graph.weight(`${name}.${suffix}`, shape, {
    length: 4 * size,
    async make() {
      const values = order(await read());
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    },
  });
}

/** What expert e has of numbers [E, ...]; one for all is named without a number. */
export function ofExpert(on: Lowering, value: Traced, e: number): Name {
  const shape = value.type.shape.slice(1);
  const stored = on.stored(value);
  if (!stored) return on.graph.node("Gather", [on.value(value), on.graph.wholes([e], [])]);
  const size = shape.reduce((product, one) => product * one, 1);
  return reordered(on, stored, String(e), shape, (values) => values.subarray(e * size, (e + 1) * size));
}

/** Rows and columns that are turned together, so that neither side leaves the cache in between. */
const BLOCK = 32;

/** Matrices [E, K, M] as [E, M, K]. */
export function turned(values: Float32Array, E: number, K: number, M: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let e = 0; e < E; e++) {
    const from = e * K * M;
    for (let k0 = 0; k0 < K; k0 += BLOCK) {
      for (let m0 = 0; m0 < M; m0 += BLOCK) {
        const [k1, m1] = [Math.min(K, k0 + BLOCK), Math.min(M, m0 + BLOCK)];
        for (let k = k0; k < k1; k++) {
          for (let m = m0; m < m1; m++) result[from + m * K + k] = values[from + k * M + m];
        }
      }
    }
  }
  return result;
}
