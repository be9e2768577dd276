// A process of its own for one library: are its products right, and how fast is one thread beside WebAssembly? It may well
// crash: a core type can ask the processor for what it has not. Its last line is the answer.
import { disagreement, referenceOf } from "../../kernels/agreement.ts";
import { f32 } from "../../kernels/kernel.ts";
import { matmul, type MatmulParams } from "../../kernels/matmul/kernel.ts";
import { cpu, type CpuBackend } from "../backend.ts";
import type { Measurement, Rates, Refused } from "./measurement.ts";
import { open } from "./open.ts";

/** The least time that one library is measured, in seconds. */
const SECONDS = 0.4;
/** A product of the sizes that training has: M, N, K. */
const TIMED = [384, 768, 768] as const;
/** Past the blocks of every library in every direction, and whole in none. */
const ODD = [67, 131, 389] as const;

/** A product's inputs; a generator of its own, since those of tensors stand above this folder. */
function draw([M, N, K]: readonly [number, number, number], { transposeA, transposeB }: MatmulParams) {
  let state = 1;
  const values = (count: number) =>
    Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    });
  return {
    types: [transposeA ? f32(K, M) : f32(M, K), transposeB ? f32(N, K) : f32(K, N)],
    values: [values(M * K), values(K * N)],
  };
}

async function firstWrong(backend: CpuBackend): Promise<string | null> {
  const odd = [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => ({ sizes: ODD, params: { transposeA, transposeB } }))
  );
  const cases = matmul.cases.map(({ inputs: [a, b], params }) => {
    const [M, K] = params.transposeA ? a.type.shape.toReversed() : a.type.shape;
    return { sizes: [M, b.type.shape[params.transposeB ? 0 : 1], K] as const, params };
  });
  for (const { sizes, params } of [...cases, ...odd]) {
    const { types, values } = draw(sizes, params);
    const inputs = values.map((each, at) => backend.upload(each, types[at].shape));
    const [c] = backend.run(matmul, inputs, params);
    const [wanted] = referenceOf(matmul, values, types, params);
    const wrong = disagreement(c.type, await backend.read(c), wanted, matmul.rounding(types, params));
    if (wrong !== null) return wrong;
    for (const buffer of [...inputs, c]) backend.free(buffer);
  }
  return null;
}

/** The best of interleaved rounds: what else the machine does then slows neither against the other. */
function rate(library: CpuBackend, wasm: CpuBackend): Rates {
  const params = { transposeA: false, transposeB: false };
  const { types, values } = draw(TIMED, params);
  const timers = [library, wasm].map((backend) => {
    const inputs = values.map((each, at) => backend.upload(each, types[at].shape));
    return () => {
      const start = performance.now();
      const [c] = backend.run(matmul, inputs, params);
      const seconds = (performance.now() - start) / 1000;
      backend.free(c);
      return seconds;
    };
  });
  const best = [Infinity, Infinity];
  for (const end = performance.now() + 2000 * SECONDS; performance.now() < end;) {
    timers.forEach((timed, at) => best[at] = Math.min(best[at], timed()));
  }
  const [flopPerSecond, wasmFlopPerSecond] = best.map((seconds) => matmul.cost(types, params).flop / seconds);
  return { flopPerSecond, wasmFlopPerSecond };
}

/** Opens, checks and times a library; the core type, if any, is in the process's environment. */
export async function probe(library: string): Promise<Omit<Measurement, "told"> | Refused> {
  const found = open(library);
  if ("why" in found) return { ...found, library };
  using theirs = await cpu({
    threads: 1,
    blas: { ...found, told: null, rates: { why: "being measured" } },
    leastBlasProduct: 1,
  });
  using ours = await cpu({ threads: 1 });
  const wrong = await firstWrong(theirs);
  return { ...found, wrong, ...rate(theirs, ours) };
}

if (import.meta.main) console.log(JSON.stringify(await probe(Deno.args[0])));
