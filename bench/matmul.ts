// The product most of a step consists of, on shapes of the default model and on square ones. Every shape is checked
// against sums in f64 before it is timed.
import type { CpuBackend } from "../cpu/backend.ts";
import { f32, type Kernel } from "../kernels/kernel.ts";
import { matmul, type MatmulParams } from "../kernels/matmul/kernel.ts";
import { random } from "../tensor/random.ts";

/** A product to time. */
export interface MatmulShape {
  readonly name: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly params: MatmulParams;
}

const plain: MatmulParams = { transposeA: false, transposeB: false };

/** Shapes of one step at width D, T tokens, V words and F hidden units, and two square ones. */
export function matmulShapes({ T, D, F, V }: { T: number; D: number; F: number; V: number }): MatmulShape[] {
  return [
    { name: "queries, keys, values", M: T, N: 3 * D, K: D, params: plain },
    { name: "into the network", M: T, N: F, K: D, params: plain },
    { name: "out of the network", M: T, N: D, K: F, params: plain },
    { name: "logits", M: T, N: V, K: D, params: { ...plain, transposeB: true } },
    { name: "gradient of the embedding", M: V, N: D, K: T, params: { ...plain, transposeA: true } },
    { name: "square", M: 500, N: 500, K: 500, params: plain },
    { name: "large square", M: 1024, N: 1024, K: 1024, params: plain },
  ];
}

const WARM_UP_SECONDS = 0.02;
const LEAST_SECONDS = 0.1;

/** Floating-point operations a second of one shape. */
export async function timeMatmul(backend: CpuBackend, shape: MatmulShape): Promise<number> {
  const { M, N, K, params } = shape;
  const [a, b] = [random(1).normal(M * K), random(2).normal(K * N)];
  const kernel: Kernel<MatmulParams> = matmul;
  const inputs = [
    backend.upload(a, params.transposeA ? [K, M] : [M, K]),
    backend.upload(b, params.transposeB ? [N, K] : [K, N]),
  ];
  const run = () => backend.run(kernel, inputs, params)[0];
  const first = run();
  check(shape, a, b, await backend.read(first) as Float32Array);
  backend.free(first);
  const { flop } = kernel.cost(inputs.map(({ type }) => type), params);
  const repeat = (least: number): number => {
    let [count, seconds] = [0, 0];
    for (const start = performance.now(); seconds < least; count++) {
      backend.free(run());
      seconds = (performance.now() - start) / 1000;
    }
    return count * flop / seconds;
  };
  repeat(WARM_UP_SECONDS);
  const speed = repeat(LEAST_SECONDS);
  for (const input of inputs) backend.free(input);
  return speed;
}

/** A few elements against their definition: K + 1 roundings of at most 2^-24 of the terms' magnitude each. */
function check({ name, M, N, K, params }: MatmulShape, a: Float32Array, b: Float32Array, c: Float32Array) {
  for (let sample = 0; sample < 32; sample++) {
    const [i, j] = [(sample * 7919) % M, (sample * 104729) % N];
    let [sum, magnitude] = [0, 0];
    for (let k = 0; k < K; k++) {
      const term = a[params.transposeA ? k * M + i : i * K + k] *
        b[params.transposeB ? j * K + k : k * N + j];
      sum += term;
      magnitude += Math.abs(term);
    }
    const allowed = matmul.rounding([f32(M, K), f32(K, N)], plain) * 2 ** -24 * magnitude;
    if (Math.abs(c[i * N + j] - sum) > allowed) {
      throw new Error(`Cannot time ${name}: element ${i}, ${j} is ${c[i * N + j]} and should be ${sum}`);
    }
  }
}
