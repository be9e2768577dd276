// The accuracy that kernels/parts/math.as.ts promises, measured over whole ranges through `unary` and its gradient. The
// contract suite's tolerance is relative to an array's largest value; this one is relative to each value.
import { assert } from "@std/assert";
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import { hasRelaxedSimd } from "../cpu/module.ts";
import { unary, type UnaryOp } from "../kernels/unary/kernel.ts";
import { unaryGradient } from "../kernels/unary_gradient/kernel.ts";

const POINTS = 100_000;
const backends: CpuBackend[] = [];
for (const relaxed of hasRelaxedSimd() ? [false, true] : [false]) {
  backends.push(await cpu({ threads: 1, relaxed }));
}
addEventListener("unload", () => backends.forEach((backend) => backend.close()));

/** Distance between neighbours of f32 at `value`. */
function ulp(value: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(value)))) - 23);
}

interface Range {
  readonly op: UnaryOp;
  readonly low: number;
  readonly high: number;
  readonly ulps: number;
  readonly gradient?: true;
}

// The exponential is within 1 ulp; each sum, product or quotient after it adds one half or, by a power of two, one whole.
// gelu sums a polynomial of nine terms, and at -4 the bell e^(-x^2/2) magnifies the rounding of x^2/2 eightfold.
const ranges: readonly Range[] = [
  { op: "exp", low: -103, high: 88.7, ulps: 1 },
  { op: "exp", low: -1e-3, high: 1e-3, ulps: 1 },
  { op: "log", low: 1e-3, high: 10, ulps: 1 },
  { op: "log", low: 0.9, high: 1.1, ulps: 1 },
  { op: "log", low: 1, high: 3e38, ulps: 1 },
  { op: "log", low: 1e-45, high: 1e-37, ulps: 1 },
  { op: "tanh", low: -10, high: 10, ulps: 2 },
  { op: "tanh", low: -1e-3, high: 1e-3, ulps: 1 },
  { op: "sigmoid", low: -87, high: 20, ulps: 3 },
  { op: "silu", low: -80, high: 80, ulps: 4 },
  { op: "gelu", low: -4, high: 10, ulps: 16 },
  { op: "gelu", low: -0.1, high: 0.1, ulps: 8 },
  { op: "sigmoid", low: -80, high: 80, ulps: 5, gradient: true },
  { op: "tanh", low: -40, high: 40, ulps: 5, gradient: true },
];

for (const { op, low, high, ulps, gradient } of ranges) {
  const kernel = gradient ? unaryGradient : unary;
  Deno.test(`${kernel.name} ${op} from ${low} to ${high} is within ${ulps} ulp`, async () => {
    const x = Float32Array.from({ length: POINTS }, (_, i) => low + (high - low) * i / (POINTS - 1));
    const arrays = gradient ? [x, new Float32Array(POINTS).fill(1)] : [x];
    const type = { dtype: "f32", shape: [POINTS] } as const;
    const want = new Float64Array(POINTS);
    kernel.reference(arrays, [want], arrays.map(() => type), { op });
    for (const backend of backends) {
      const inputs = arrays.map((values) => backend.upload(values, [POINTS]));
      const [made] = backend.run(kernel, inputs, { op });
      const got = await backend.read(made);
      let worst = 0;
      let at = 0;
      for (let i = 0; i < POINTS; i++) {
        const error = Math.abs(got[i] - want[i]) / ulp(want[i]);
        if (!(error <= worst)) [worst, at] = [error, i];
      }
      const fused = backend.arithmetic.fusedMultiplyAdd ? "fused" : "plain";
      assert(worst <= ulps, `${fused}: ${worst} ulp at ${x[at]}: got ${got[at]}, want ${want[at]}`);
      for (const buffer of [...inputs, made]) backend.free(buffer);
    }
  });
}
