// Cosines of rows with the indicators of their equal chunks: affinities of tokens and experts in a gate without parameters.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { checkTrips, grid } from "../parts/grid.ts";
import { QUOTIENT, ROOT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

/** What is added to a squared norm, so that a row of zeros has cosines 0. */
const EPSILON = 1e-20;

/** How many chunks a row has; they divide it. */
export interface ChunkCosineParams {
  readonly chunks: number;
}

function bind(inputs: readonly ArrayType[], { chunks }: ChunkCosineParams): { T: number; D: number } {
  const { T, D } = match("chunk_cosine", inputs, ["f32 TD"]);
  if (!Number.isInteger(chunks) || chunks < 1 || D % chunks !== 0) {
    throw new RangeError(
      `Cannot run chunk_cosine: chunks is ${chunks}, it must be a whole number from 1 that divides ${D}`,
    );
  }
  return { T, D };
}

export const chunkCosine: Kernel<ChunkCosineParams> = {
  name: "chunk_cosine",
  about: "y[t,i] = sum of chunk i of x[t] times sqrt(chunks / D) over the norm of x[t]; and the norms.",
  outputs(inputs, params) {
    const { T } = bind(inputs, params);
    return [f32(T, params.chunks), f32(T)];
  },
  reference([x], [y, norm], types, { chunks }) {
    const { T, D } = bind(types, { chunks });
    const long = D / chunks;
    for (let t = 0; t < T; t++) {
      let squares = EPSILON;
      for (let d = 0; d < D; d++) squares += x[t * D + d] ** 2;
      norm[t] = Math.sqrt(squares);
      for (let d = 0; d < D; d++) y[t * chunks + Math.floor(d / long)] += x[t * D + d];
      for (let i = 0; i < chunks && D > 0; i++) y[t * chunks + i] *= Math.sqrt(chunks / D) / norm[t];
    }
  },
  wasm: "chunkCosine",
  cpu(inputs, params) {
    const { T, D } = bind(inputs, params);
    const scale = D > 0 ? Math.sqrt(params.chunks / D) : 0;
    const grain = Math.max(1, Math.floor(16384 / Math.max(16, D)));
    return { units: T, grain, integers: [D, params.chunks], floats: [scale, EPSILON] };
  },
  wgsl: [lanes + program],
  gpu(inputs, params, facts) {
    const { T, D } = bind(inputs, params);
    const scale = D > 0 ? Math.sqrt(params.chunks / D) : 0;
    const inChunks = Math.ceil(params.chunks / 64) * (D / params.chunks + 1);
    checkTrips("chunk_cosine", `rows of ${D}`, Math.ceil(D / 64) + inChunks + 6, facts);
    return {
      passes: [{
        program: lanes + program,
        integers: [T, D, params.chunks],
        floats: [scale, EPSILON],
        workgroups: grid(T, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, D } = bind(inputs, params);
    return { flop: 3 * T * D, bytes: bytesOf(...inputs, f32(T, params.chunks), f32(T)) };
  },
  // Both sums, a root, a product and a quotient.
  rounding: (inputs, params) => 2 * bind(inputs, params).D + 5,
  gpuRounding: (inputs, params) => chunkCosine.rounding(inputs, params) + ROOT + QUOTIENT,
  cases: [
    cosineCase("odd chunks", 13, 21, 7),
    cosineCase("whole vectors", 9, 64, 8),
    cosineCase("chunks of one", 5, 6, 6),
    cosineCase("one chunk", 5, 70, 1),
    cosineCase("many rows and chunks", 700, 140, 70),
    cosineCase("a row of zeros", 2, 4, 2, [0, 0, 0, 0, 1, 2, 3, 4]),
    cosineCase("one element", 1, 1, 1),
    cosineCase("no rows", 0, 4, 2),
    cosineCase("no columns", 3, 0, 2),
  ],
};

function cosineCase(
  about: string,
  T: number,
  D: number,
  chunks: number,
  values?: number[],
): Case<ChunkCosineParams> {
  return {
    about,
    inputs: [{ type: f32(T, D), fill: values ? { kind: "values", values } : { kind: "normal" } }],
    params: { chunks },
  };
}
