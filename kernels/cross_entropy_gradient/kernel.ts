// Gradient of `cross_entropy` with respect to the logits, from the logsumexp it kept: of all rows, or of some in a row, so
// that it need not be whole where it is used up at once.
import { type ArrayType, bytesOf, type Case, f32, i32, type Kernel, match } from "../kernel.ts";
import { grainFor } from "../elementwise.ts";
import { forEach } from "../grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import math from "../math.wgsl" with { type: "text" };

const EXP_FLOP = 20;
const PATTERNS = ["f32 TV", "i32 T", "f32 T", "f32 T"];

/** Rows of the logits whose gradient is wanted: `rows` from `first` on; all unless said otherwise. */
export interface CrossEntropyGradientParams {
  readonly first?: number;
  readonly rows?: number;
}

interface Bound {
  readonly V: number;
  readonly first: number;
  readonly rows: number;
}

function bind(inputs: readonly ArrayType[], params: CrossEntropyGradientParams): Bound {
  const { T, V } = match("cross_entropy_gradient", inputs, PATTERNS);
  const { first = 0, rows = T - first } = params;
  if (!Number.isInteger(first) || !Number.isInteger(rows) || first < 0 || rows < 0 || first + rows > T) {
    throw new RangeError(
      `Cannot run cross_entropy_gradient: there are no ${rows} rows from ${first} on among ${T}`,
    );
  }
  return { V, first, rows };
}

export const crossEntropyGradient: Kernel<CrossEntropyGradientParams> = {
  name: "cross_entropy_gradient",
  about:
    "dlogits[R,V] = g (e^(logits - logsumexp) - [v = target]) of R rows in a row; 0 where the target is outside 0..V-1.",
  outputs(inputs, params) {
    const { V, rows } = bind(inputs, params);
    return [f32(rows, V)];
  },
  reference([logits, target, logsumexp, g], [dlogits], types, params) {
    const { V, first, rows } = bind(types, params);
    for (let row = 0; row < rows; row++) {
      const t = first + row;
      if (target[t] < 0 || target[t] >= V) continue;
      for (let v = 0; v < V; v++) {
        const probability = Math.exp(logits[t * V + v] - logsumexp[t]);
        dlogits[row * V + v] = g[t] * (probability - (v === target[t] ? 1 : 0));
      }
    }
  },
  wasm: "crossEntropyGradient",
  cpu(inputs, params) {
    const { V, first, rows } = bind(inputs, params);
    return { units: rows, grain: grainFor(V + 20), integers: [V, first] };
  },
  wgsl: [math + program],
  gpu(inputs, params, facts) {
    const { V, first, rows } = bind(inputs, params);
    const integers = [rows * V, V, first];
    return { passes: [{ program: math + program, integers, workgroups: forEach(rows * V, facts) }] };
  },
  cost(inputs, params) {
    const { V, rows } = bind(inputs, params);
    return {
      flop: rows * V * (EXP_FLOP + 2),
      bytes: bytesOf(f32(rows, V), i32(rows), f32(rows), f32(rows), f32(rows, V)),
    };
  },
  // The exponential (1 ulp) of a rounded difference d, which counts |d| e^d < 1 times for any logsumexp of the logits;
  // then a product, and a difference at the target.
  rounding: () => 6,
  cases: [
    gradientCase("odd size", 5, 7),
    gradientCase("one token", 1, 33),
    gradientCase("one word", 6, 1),
    gradientCase("no tokens", 0, 9),
    gradientCase("many tokens", 700, 17),
    gradientCase("several blocks", 3, 2053),
    gradientCase("large logits", 9, 31, 1e3),
    gradientCase("rows in the middle", 9, 31, 1, { first: 4, rows: 3 }),
    gradientCase("last rows", 700, 17, 1, { first: 525 }),
    gradientCase("no rows", 5, 7, 1, { first: 5 }),
  ],
};

/** A logsumexp about as large as logits of that scale have; it need not be theirs. */
function gradientCase(
  about: string,
  T: number,
  V: number,
  scale = 1,
  params: CrossEntropyGradientParams = {},
): Case<CrossEntropyGradientParams> {
  return {
    about,
    inputs: [
      { type: f32(T, V), fill: { kind: "normal", scale } },
      { type: i32(T), fill: { kind: "integers", low: -1, below: V } },
      { type: f32(T), fill: { kind: "uniform", low: 4 * scale, high: 5 * scale } },
      { type: f32(T), fill: { kind: "normal" } },
    ],
    params,
  };
}
