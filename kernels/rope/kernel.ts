// Rotary position embedding (Su et al. 2021, arXiv:2104.09864, equation 34) of queries and keys side by side with
// values. Entry i of a head is paired with entry i + half, as in published checkpoints, not with its neighbour.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Cosine and sine of each position's angle for each pair, [length, half, 2], in f64 because angles reach thousands. */
function turns(length: number, half: number, base: number): Float32Array {
  const values = new Float32Array(2 * length * half);
  for (let i = 0; i < half; i++) {
    const frequency = base ** (-i / half);
    for (let position = 0; position < length; position++) {
      const at = 2 * (position * half + i);
      values[at] = Math.cos(position * frequency);
      values[at + 1] = Math.sin(position * frequency);
    }
  }
  return values;
}

/** How rows are laid out and how fast they turn. */
export interface RopeParams {
  /** Rows in a sequence; row t stands at position t mod length. */
  readonly length: number;
  readonly heads: number;
  /** Pair i of a head turns by base^(-2i / head width) a position. */
  readonly base: number;
  /** True turns back: the gradient of turning forth. */
  readonly inverse: boolean;
}

function bind(inputs: readonly ArrayType[], params: RopeParams): { T: number; D: number; half: number } {
  const { T, C } = match("rope", inputs, ["f32 TC"]);
  const { length, heads, base } = params;
  if (C % 3 !== 0) {
    throw new RangeError(`Cannot run rope: ${C} columns do not split into queries, keys and values`);
  }
  const D = C / 3;
  if (!Number.isInteger(heads) || heads < 1 || D < 1 || D % (2 * heads) !== 0) {
    throw new RangeError(`Cannot run rope: width ${D} does not split into ${heads} heads of even width`);
  }
  if (!Number.isInteger(length) || length < 1 || T % length !== 0) {
    throw new RangeError(`Cannot run rope: ${T} rows do not split into sequences of ${length}`);
  }
  if (!(base > 1 && base < 2 ** 100)) {
    throw new RangeError(`Cannot run rope: base is ${base}, it must be a number above 1`);
  }
  return { T, D, half: D / heads / 2 };
}

export const rope: Kernel<RopeParams> = {
  name: "rope",
  about:
    "Turns each pair of a head's queries and keys by its position times its frequency; values are copied.",
  outputs(inputs, params) {
    bind(inputs, params);
    return [inputs[0]];
  },
  reference([qkv], [y], types, params) {
    const { T, D, half } = bind(types, params);
    const base = Math.fround(params.base);
    for (let t = 0; t < T; t++) {
      for (let group = 0; group < 2 * params.heads; group++) {
        for (let i = 0; i < half; i++) {
          const angle = (t % params.length) * base ** (-i / half) * (params.inverse ? -1 : 1);
          const at = t * 3 * D + group * 2 * half + i;
          y[at] = qkv[at] * Math.cos(angle) - qkv[at + half] * Math.sin(angle);
          y[at + half] = qkv[at + half] * Math.cos(angle) + qkv[at] * Math.sin(angle);
        }
      }
      for (let d = 2 * D; d < 3 * D; d++) y[t * 3 * D + d] = qkv[t * 3 * D + d];
    }
  },
  wasm: "rope",
  cpu(inputs, params) {
    const { T, D } = bind(inputs, params);
    const each = T / params.length * 3 * D + 8 * D / params.heads;
    return {
      units: T > 0 ? params.length : 0,
      grain: Math.max(1, Math.floor(16384 / each)),
      integers: [T, D, params.length, params.heads, Number(params.inverse)],
      floats: [params.base],
      // A frequency (f64), a cosine and a sine for each pair of a head.
      scratchBytes: 16 * D / params.heads / 2,
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, D, half } = bind(inputs, params);
    const { length, heads, inverse } = params;
    const base = Math.fround(params.base);
    return {
      tables: [{ key: `${length} ${half} ${base}`, values: () => turns(length, half, base) }],
      passes: [{
        program,
        reads: [0, 2],
        constants: { INVERSE: Number(inverse) },
        integers: [T * D, D, D / heads / 2, length],
        workgroups: forEach(T * D, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, D } = bind(inputs, params);
    return { flop: 6 * T * D, bytes: 2 * bytesOf(inputs[0]) };
  },
  rounding() {
    // Cosine, product and sum round once each, for two terms whose sizes add to at most sqrt(2) of the pair's length,
    // which is at most sqrt(2) of the largest result.
    return 6;
  },
  cases: [
    ropeCase("two sequences, two heads", 14, 16, { length: 7, heads: 2, base: 10000, inverse: false }),
    ropeCase("back", 14, 16, { length: 7, heads: 2, base: 10000, inverse: true }),
    ropeCase("pairs that fill no vector", 9, 30, { length: 3, heads: 3, base: 10000, inverse: false }),
    ropeCase("sequences of one row", 5, 8, { length: 1, heads: 1, base: 10000, inverse: false }),
    ropeCase("one pair", 3, 2, { length: 3, heads: 1, base: 500000, inverse: false }),
    ropeCase("far positions", 65536, 4, { length: 65536, heads: 1, base: 10000, inverse: false }),
    ropeCase("several sequences", 300, 24, { length: 100, heads: 2, base: 10000, inverse: true }),
    ropeCase("no rows", 0, 8, { length: 4, heads: 1, base: 10000, inverse: false }),
  ],
};

function ropeCase(about: string, T: number, D: number, params: RopeParams): Case<RopeParams> {
  return { about, inputs: [{ type: f32(T, 3 * D), fill: { kind: "normal" } }], params };
}
