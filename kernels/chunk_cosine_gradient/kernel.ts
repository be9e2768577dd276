// Gradient of chunk_cosine: along each chunk's indicator, less what only changes the norm.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { checkTrips, grid } from "../parts/grid.ts";
import { QUOTIENT } from "../parts/accuracy.ts";
import program from "./gpu.wgsl" with { type: "text" };
import lanes from "../parts/lanes.wgsl" with { type: "text" };

function bind(inputs: readonly ArrayType[]) {
  const bound = match("chunk_cosine_gradient", inputs, ["f32 TD", "f32 TE", "f32 T", "f32 TE"]);
  const { D, E } = bound;
  if (E === 0 || D % E !== 0) {
    throw new RangeError(`Cannot run chunk_cosine_gradient: ${E} chunks do not divide rows of ${D}`);
  }
  return bound;
}

export const chunkCosineGradient: Kernel<Record<string, never>> = {
  name: "chunk_cosine_gradient",
  about: "dx[t,d] = (g[t,i] sqrt(E / D) - x[t,d] sum(g[t] y[t]) / norm[t]) / norm[t], i the chunk of d.",
  outputs(inputs) {
    bind(inputs);
    return [inputs[0]];
  },
  reference([x, y, norm, g], [dx], types) {
    const { T, D, E } = bind(types);
    for (let t = 0; t < T; t++) {
      let dot = 0;
      for (let i = t * E; i < (t + 1) * E; i++) dot += g[i] * y[i];
      for (let d = 0; d < D; d++) {
        const along = g[t * E + Math.floor(d * E / D)] * Math.sqrt(E / D);
        dx[t * D + d] = (along - x[t * D + d] * dot / norm[t]) / norm[t];
      }
    }
  },
  wasm: "chunkCosineGradient",
  cpu(inputs) {
    const { T, D, E } = bind(inputs);
    const grain = Math.max(1, Math.floor(16384 / Math.max(16, D)));
    return { units: T, grain, integers: [D, E], floats: [D > 0 ? Math.sqrt(E / D) : 0] };
  },
  wgsl: [lanes + program],
  gpu(inputs, _params, facts) {
    const { T, D, E } = bind(inputs);
    checkTrips("chunk_cosine_gradient", `rows of ${D}`, Math.ceil(D / 64) + Math.ceil(E / 64) + 6, facts);
    return {
      passes: [{
        program: lanes + program,
        integers: [T, D, E],
        floats: [D > 0 ? Math.sqrt(E / D) : 0],
        workgroups: grid(T, facts),
      }],
    };
  },
  cost(inputs) {
    const { T, D } = bind(inputs);
    return { flop: 5 * T * D, bytes: bytesOf(...inputs, inputs[0]) };
  },
  // The dot product, two products and quotients, a difference; norms of the cases are at least 1.
  rounding: (inputs) => bind(inputs).E + 7,
  gpuRounding: (inputs, params) => chunkCosineGradient.rounding(inputs, params) + 2 * QUOTIENT,
  cases: [
    gradientCase("odd chunks", 13, 21, 7),
    gradientCase("whole vectors", 9, 64, 8),
    gradientCase("chunks of one", 5, 6, 6),
    gradientCase("one chunk", 5, 70, 1),
    gradientCase("many rows and chunks", 700, 140, 70),
    gradientCase("one element", 1, 1, 1),
    gradientCase("no rows", 0, 4, 2),
    gradientCase("no columns", 3, 0, 2),
  ],
};

function gradientCase(about: string, T: number, D: number, E: number): Case<Record<string, never>> {
  return {
    about,
    inputs: [
      { type: f32(T, D), fill: { kind: "normal" } },
      { type: f32(T, E), fill: { kind: "uniform", low: -1, high: 1 } },
      { type: f32(T), fill: { kind: "uniform", low: 1, high: 3 } },
      { type: f32(T, E), fill: { kind: "normal" } },
    ],
    params: {},
  };
}
