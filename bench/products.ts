// Products, plain and grouped: the most of a step's arithmetic. A grouped one is set beside the plain product of as many
// rows, which costs the same arithmetic.
import type { Backend, Buffer } from "../kernels/kernel.ts";
import { groupedMatmul } from "../kernels/grouped_matmul/kernel.ts";
import { matmul, type MatmulParams } from "../kernels/matmul/kernel.ts";
import { sumLast } from "../kernels/sum_last/kernel.ts";
import { repeatedNormal } from "./layer.ts";
import { type Load, offsetsOf } from "./loads.ts";
import type { Timed } from "./repeat.ts";
import type { AnyKernel } from "./watched.ts";
import { verify } from "./verify.ts";

/** A product to time. */
export interface ProductShape {
  readonly name: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly params: MatmulParams;
}

const plain: MatmulParams = { transposeA: false, transposeB: false };

/** Large enough that packing and edges hide behind arithmetic. */
export const largeSquare: ProductShape = { name: "large square", M: 1024, N: 1024, K: 1024, params: plain };

/** Shapes of one step at width D, T tokens, V words and F hidden units, and two square ones. */
export function productShapes(
  { T, D, F, V }: { T: number; D: number; F: number; V: number },
): ProductShape[] {
  return [
    { name: "queries, keys, values", M: T, N: 3 * D, K: D, params: plain },
    { name: "into the network", M: T, N: F, K: D, params: plain },
    { name: "out of the network", M: T, N: D, K: F, params: plain },
    { name: "logits", M: T, N: V, K: D, params: { ...plain, transposeB: true } },
    { name: "gradient of the embedding", M: V, N: D, K: T, params: { ...plain, transposeA: true } },
    { name: "square", M: 500, N: 500, K: 500, params: plain },
    largeSquare,
  ];
}

/** A kernel with inputs on a backend, ready to be run again and again. */
export interface KernelSubject extends Disposable {
  readonly flop: number;
  readonly bytes: number;
  readonly run: Timed;
  /** Runs it once and checks what comes out. @throws {Error} when it is wrong. */
  check(): Promise<void>;
}

/** @param check Judges the outputs' values; left out, the kernel's whole reference does. */
export function createKernelSubject(
  backend: Backend,
  kernel: AnyKernel,
  inputs: readonly Buffer[],
  params: unknown,
  check?: (outputs: readonly (Float32Array | Int32Array)[]) => void,
): KernelSubject {
  const run = () => {
    for (const output of backend.run(kernel, inputs, params)) backend.free(output);
  };
  return {
    ...kernel.cost(inputs.map(({ type }) => type), params),
    run,
    async check() {
      const outputs = backend.run(kernel, inputs, params);
      const [got, given] = await Promise.all(
        [outputs, check ? [] : inputs].map((buffers) =>
          Promise.all(buffers.map((buffer) => backend.read(buffer)))
        ),
      );
      for (const output of outputs) backend.free(output);
      if (check) check(got);
      else verify(kernel, { inputs, params }, given, got, backend.name === "webgpu");
    },
    [Symbol.dispose]() {
      for (const input of inputs) backend.free(input);
    },
  };
}

/** A plain product on a backend. */
export function productSubject(backend: Backend, shape: ProductShape): KernelSubject {
  const { M, N, K, params } = shape;
  const [a, b] = [repeatedNormal(M * K), repeatedNormal(K * N)];
  const inputs = [
    backend.upload(a, params.transposeA ? [K, M] : [M, K]),
    backend.upload(b, params.transposeB ? [N, K] : [K, N]),
  ];
  const aAt = (i: number, k: number) => a[params.transposeA ? k * M + i : i * K + k];
  const bAt = (k: number, j: number) => b[params.transposeB ? j * K + k : k * N + j];
  return createKernelSubject(backend, matmul, inputs, params, ([c]) => {
    for (const [i, j] of samples(M, N)) {
      checkElement(shape.name, K, (k) => aAt(i, k) * bAt(k, j), c[i * N + j]);
    }
  });
}

/** Seconds of one product in a plain TypeScript loop, the best of several: what WebAssembly is for. */
export function plainLoop({ M, N, K }: ProductShape, runs: number): number {
  const [a, b] = [repeatedNormal(M * K), repeatedNormal(K * N)];
  const c = new Float32Array(M * N);
  const multiply = () => {
    c.fill(0);
    for (let i = 0; i < M; i++) {
      for (let k = 0; k < K; k++) {
        const scale = a[i * K + k];
        for (let j = 0; j < N; j++) c[i * N + j] += scale * b[k * N + j];
      }
    }
  };
  multiply();
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    multiply();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}

/** Rows of width K times each expert's own [K, M] matrix. */
export function groupedSubject(
  backend: Backend,
  load: Load,
  { K, M }: { K: number; M: number },
): KernelSubject {
  const { E } = load;
  const offsets = offsetsOf(load);
  const N = offsets[E];
  const [a, b] = [repeatedNormal(N * K), repeatedNormal(E * K * M)];
  const inputs = [backend.upload(a, [N, K]), backend.upload(b, [E, K, M]), backend.upload(offsets, [E + 1])];
  return createKernelSubject(backend, groupedMatmul, inputs, { transposeB: false }, ([c]) => {
    for (const [n, j] of samples(N, M)) {
      const e = offsets.findLastIndex((offset) => offset <= n);
      checkElement(`a product of ${E} groups`, K, (k) => a[n * K + k] * b[(e * K + k) * M + j], c[n * M + j]);
    }
  });
}

/** What reads an array once and does next to nothing with it: a sum of each row. */
export function readingSubject(backend: Backend, rows: number, columns: number): KernelSubject {
  const x = backend.upload(repeatedNormal(rows * columns), [rows, columns]);
  return createKernelSubject(backend, sumLast, [x], {});
}

/** Places all over a matrix, the same on every machine. */
function samples(rows: number, columns: number): [number, number][] {
  return Array.from({ length: 64 }, (_, sample) => [(sample * 7919) % rows, (sample * 104729) % columns]);
}

/** An element against its definition: K + 1 roundings of at most 2^-24 of the terms' magnitude each. */
function checkElement(name: string, K: number, term: (k: number) => number, got: number): void {
  let [sum, magnitude] = [0, 0];
  for (let k = 0; k < K; k++) {
    sum += term(k);
    magnitude += Math.abs(term(k));
  }
  if (!(Math.abs(got - sum) <= (K + 1) * 2 ** -24 * magnitude)) {
    throw new Error(`Cannot time ${name}: an element is ${got} and should be ${sum}`);
  }
}
