// What is compared: inputs, the outputs every contender must give and how far they may be off. A workload is written to a
// folder as plain numbers, so that contenders in any language read the same values.
import { random } from "../../tensor/random.ts";
import { createLanguageModelWorkload } from "./language_model.ts";
import {
  adamw,
  moe,
  type MoeInputs,
  type MoeSizes,
  type MoeValues,
  product,
  softmaxRows,
  updated,
} from "./reference.ts";
import type { Values, Wanted, Workload } from "./workload.ts";

/** Shapes: those of issue and README, or small ones that only show that everything works. */
export type Scale = "full" | "small";

/** Rounding of sums of that many terms, one after the other: four standard deviations of a random walk of f32. */
function rounding(...terms: number[]): number {
  return terms.reduce((sum, count) => sum + 4 * Math.sqrt(count) * 2 ** -24, 0);
}

const doubles = (values: Float32Array | Int32Array) => Float64Array.from(values);

function draw(name: string, shape: readonly number[], deviation = 1): Values {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  return { shape, values: random(0).split(name).normal(size).map((value) => value * deviation) };
}

function matmul(N: number): Workload {
  return {
    name: `matmul-${N}`,
    about: `[${N}, ${N}] [${N}, ${N}]`,
    sizes: { N },
    flop: 2 * N ** 3,
    prepare() {
      const inputs = { a: draw("a", [N, N]), b: draw("b", [N, N]) };
      const y = product(doubles(inputs.a.values), doubles(inputs.b.values), N, N, N);
      return Promise.resolve({ inputs, wanted: { y: { values: y, allowed: rounding(N) } } });
    },
  };
}

function grouped(E: number, rows: number, K: number, N: number): Workload {
  return {
    name: "grouped",
    about: `${E} x [${rows}, ${K}] [${K}, ${N}]`,
    sizes: { E, rows, K, N },
    flop: 2 * E * rows * K * N,
    prepare() {
      const inputs = { x: draw("x", [E * rows, K]), w: draw("w", [E, K, N]) };
      const [x, w] = [doubles(inputs.x.values), doubles(inputs.w.values)];
      const y = new Float64Array(E * rows * N);
      for (let e = 0; e < E; e++) {
        const [from, to] = [e * rows, (e + 1) * rows];
        const [rowsOf, weights] = [x.subarray(from * K, to * K), w.subarray(e * K * N, (e + 1) * K * N)];
        y.set(product(rowsOf, weights, rows, K, N), from * N);
      }
      return Promise.resolve({ inputs, wanted: { y: { values: y, allowed: rounding(K) } } });
    },
  };
}

function softmax(rows: number, columns: number): Workload {
  return {
    name: "softmax",
    about: `rows of [${rows}, ${columns}]`,
    sizes: { rows, columns },
    flop: null,
    prepare() {
      const inputs = { x: draw("softmax", [rows, columns]) };
      const y = softmaxRows(doubles(inputs.x.values), columns);
      // WGSL lets exp(-z) be off by 3 + 2 z units in the last place of 2^-23; z stays below 10 here.
      return Promise.resolve({
        inputs,
        wanted: { y: { values: y, allowed: rounding(columns) + 23 * 2 ** -23 } },
      });
    },
  };
}

/** A layer's inputs and what it gives in f64, both made when first asked for; workloads on the same layer share them. */
function layer(sizes: MoeSizes) {
  const { T, D, F, E, activation } = sizes;
  let inputs: Record<string, Values> | undefined;
  let found: MoeValues | undefined;
  const drawn = () =>
    inputs ??= {
      x: draw("tokens", [T, D]),
      router: draw("router", [D, E], 1 / Math.sqrt(D)),
      first: draw("first", [E, D, F], 1 / Math.sqrt(D)),
      second: draw("second", [E, F, D], 1 / Math.sqrt(F)),
      ...(activation === "swiglu" ? { third: draw("third", [E, D, F], 1 / Math.sqrt(D)) } : {}),
      target: draw("target", [T, D]),
    };
  const asDoubles = () => {
    const all = Object.entries(drawn()).map(([name, { values }]) => [name, doubles(values)]);
    return Object.fromEntries(all) as unknown as MoeInputs & Record<string, Float64Array>;
  };
  return {
    inputs: drawn,
    asDoubles,
    values(): MoeValues {
      if (found) return found;
      found = moe(asDoubles(), sizes, "gradients");
      // Logits are sums of D terms of about 1 / sqrt(D).
      if (!(found.leastGap > rounding(D))) {
        throw new Error(
          `Cannot compare MoE layers: experts of a token are ${found.leastGap} apart in logits`,
        );
      }
      return found;
    },
    /** Rounding of the forward pass, of the mean after it, and of gradients that come back through the same products. */
    forward: rounding(D, D, F),
    loss: rounding(D, D, F, D, T),
    backward: rounding(D, D, F, F, D, 2 * T / E),
  };
}

type Layer = ReturnType<typeof layer>;

const activationNames = { relu: "ReLU", gelu: "exact GELU", swiglu: "SwiGLU (three products each)" };

/** A layer in words; each workload is to be understood alone. */
function layerText({ T, D, F, E, activation }: MoeSizes): string {
  const experts = `${E} experts with ${activationNames[activation]}`;
  return `MoE layer, ${T} tokens, D = ${D}, F = ${F}, ${experts}, top-2 with weights that sum to 1`;
}

function moeForward(sizes: MoeSizes, layer: Layer): Workload {
  const { T, D, F, E } = sizes;
  return {
    name: "moe-forward",
    about: `${layerText(sizes)}: forward`,
    sizes: { T, D, F, E },
    flop: 2 * T * 4 * D * F,
    prepare: () =>
      Promise.resolve({
        inputs: layer.inputs(),
        wanted: { y: { values: layer.values().y, allowed: layer.forward } },
        sizes: { largestLoad: layer.values().largestLoad },
      }),
  };
}

function moeGradient(name: string, sizes: MoeSizes, layer: Layer): Workload {
  const { T, D, F, E, activation } = sizes;
  const products = activation === "swiglu" ? 6 : 4;
  return {
    name,
    about: `${layerText(sizes)}: mean squared error, gradients of tokens, router, experts`,
    sizes: { T, D, F, E },
    flop: 3 * 2 * T * products * D * F,
    prepare() {
      const { loss, gradients, undecided, largestLoad } = layer.values();
      const { third, ...rest } = gradients!;
      const wanted: Record<string, Wanted> = { loss: { values: [loss], allowed: layer.loss } };
      for (const [of, values] of Object.entries(activation === "swiglu" ? { ...rest, third } : rest)) {
        wanted[`d${of}`] = { values, allowed: layer.backward + undecided };
      }
      return Promise.resolve({ inputs: layer.inputs(), wanted, sizes: { largestLoad } });
    },
  };
}

function moeTrain(sizes: MoeSizes, layer: Layer): Workload {
  const { T, D, F, E } = sizes;
  return {
    name: "moe-train",
    about: `${layerText(sizes)}: forward, backward, AdamW on router and experts`,
    sizes: { T, D, F, E, ...adamw },
    flop: 3 * 2 * T * 4 * D * F,
    prepare() {
      const { loss, gradients, largestLoad } = layer.values();
      const values = layer.asDoubles();
      const wanted: Record<string, Wanted> = { loss: { values: [loss], allowed: layer.loss } };
      const after: Record<string, Float64Array> = { ...values };
      for (const name of ["router", "first", "second"] as const) {
        after[name] = updated(values[name], gradients![name]);
        wanted[name] = {
          values: after[name],
          allowed: updateAllowance(values[name], gradients![name], after[name], layer.backward),
          scale: norm(after[name].map((value, at) => value - values[name][at])),
        };
      }
      const next = moe(after as unknown as MoeInputs, sizes, "forward");
      wanted.nextLoss = { values: [next.loss], allowed: layer.loss + layer.backward };
      return Promise.resolve({ inputs: layer.inputs(), wanted, sizes: { largestLoad } });
    },
  };
}

/**
 * AdamW's first update is nearly the sign of the gradient, so where a gradient is near 0 rounding decides. The relative
 * size of how far updates move when every gradient is off by what is allowed for gradients.
 */
function updateAllowance(
  before: Float64Array,
  gradient: Float64Array,
  after: Float64Array,
  allowed: number,
): number {
  const off = allowed * norm(gradient) / Math.sqrt(gradient.length);
  const [up, down] = [off, -off].map((shift) => updated(before, gradient.map((value) => value + shift)));
  const moved = after.map((value, at) => Math.max(Math.abs(up[at] - value), Math.abs(down[at] - value)));
  // Parameters are stored in f32: half a unit in their last place each.
  const stored = 2 ** -24 * norm(after);
  return (norm(moved) + stored) / norm(after.map((value, at) => value - before[at]));
}

/** Euclidean norm. */
export function norm(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at] ** 2;
  return Math.sqrt(sum);
}

/** All workloads, in the order they are run. */
export function createWorkloads(scale: Scale): Workload[] {
  const full = scale === "full";
  const sizes = full ? { T: 2048, D: 256, F: 1024, E: 8 } : { T: 128, D: 32, F: 64, E: 4 };
  const withActivation = (activation: MoeSizes["activation"]) => {
    const all: MoeSizes = { ...sizes, activation };
    return [all, layer(all)] as const;
  };
  const relu = withActivation("relu");
  const gelu = withActivation("gelu");
  const swiglu = withActivation("swiglu");
  return [
    ...(full ? [512, 1024] : [96]).map(matmul),
    full ? grouped(8, 256, 256, 1024) : grouped(4, 32, 32, 64),
    full ? softmax(8192, 64) : softmax(256, 64),
    moeForward(...relu),
    moeGradient("moe-gradient", ...relu),
    moeTrain(...gelu),
    moeGradient("moe-swiglu", ...swiglu),
    createLanguageModelWorkload(full ? "small" : "tiny"),
  ];
}
