// One layer: x + attention(norm(x)), then x + feed-forward(norm(x)), where the feed-forward part is a dense network, a
// mixture of experts, or nothing.
import { asAuthored } from "../moe/author.ts";
import { routeBehind } from "../moe/past.ts";
import { createMoeLayer, type MoeLayer, type MoeOutput } from "../moe/layer.ts";
import type { RouteStep } from "../routers/router.ts";
import { relu } from "../tensor/activations.ts";
import { add } from "../tensor/arithmetic.ts";
import { constant, type Init, normal, type Params } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import type { GrowingRows } from "../tensor/growing_rows.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { stage } from "../tensor/stage.ts";
import { type Parameter, stopGradient, type Tensor } from "../tensor/tensor.ts";
import { packedAttention, packedRope, rmsNorm } from "../tensor/transformer.ts";
import { createSharedExpert } from "./shared_expert.ts";
import type { LayerCache } from "./cache.ts";
import {
  type AttentionSpec,
  type DenseSpec,
  type LayerSpec,
  type ModelSpec,
  type MoeSpec,
  projectedColumns,
  rowsOf,
} from "./spec.ts";

/** A layer with its parameters by name. */
export interface Block {
  readonly params: Params;
  /** The mixture, where there is one. */
  readonly moe: { readonly layer: MoeLayer; readonly spec: MoeSpec } | null;
  apply(x_TD: Tensor, step: RouteStep): Promise<BlockOutput>;
  /**
   * The same for the last rows of a sequence whose earlier ones are in a cache, which gets these too.
   * @param rows Of x_TD; their past is what the cache holds.
   * @param step Of all tokens.
   * @returns The rows, f32 [T, D]; or the first earlier token that the router decides of otherwise now.
   */
  applyBehind(x_TD: Tensor, rows: Sequences, step: RouteStep, cache: LayerCache): Promise<Tensor | number>;
  /** Frees the mixture's parameters and what experts hold besides; a second time does nothing. */
  free?(): void;
}

/** Output of a layer. */
export interface BlockOutput {
  readonly x_TD: Tensor;
  /** How the mixture routed, and what it was added to (null where its output replaces its input). */
  readonly moe: (MoeOutput & { readonly residual_TD: Tensor | null }) | null;
}

/** Runs a mixture, which adds its output to `base_TD` if there is one. */
type Mixed = (base_TD?: Tensor) => Promise<MoeOutput>;

/**
 * Makes a layer. Its initial values come from streams by name: attention's are the same whatever follows it.
 * @param residualScale Standard deviation factor of attention's projection back: 1 / sqrt(2 layers).
 * @throws {RangeError} when the router or the experts refuse their options.
 */
export function createBlock(
  layer: LayerSpec,
  model: Pick<ModelSpec, "D" | "input" | "length">,
  residualScale: number,
  init: Init,
): Block {
  const { D } = model;
  const params: Record<string, Parameter> = {};
  const attend = layer.attention ? createAttention(D, layer.attention, residualScale, params, init) : null;
  const gain_D = layer.norm && layer.feedForward.kind !== "none"
    ? params.feedForwardNorm = init.parameter("feedForwardNorm", [D], constant(1))
    : null;
  const normed = (x_TD: Tensor) => gain_D ? stage(x_TD.backend, "norm", () => rmsNorm(x_TD, gain_D)) : x_TD;
  const attended = (x_TD: Tensor, rows: Sequences, earlier?: GrowingRows) =>
    attend ? attend(x_TD, rows, earlier) : x_TD;
  const { feedForward } = layer;
  if (feedForward.kind !== "moe") {
    const network = feedForward.kind === "dense" ? createDense(D, feedForward, params, init) : null;
    const through = (x_TD: Tensor) => network ? network(normed(x_TD), layer.residual ? x_TD : null) : x_TD;
    return {
      params,
      moe: null,
      apply: (x_TD, { sequences }) =>
        Promise.resolve({ x_TD: through(attended(x_TD, sequences)), moe: null }),
      applyBehind: (x_TD, rows, _step, { qkv }) => Promise.resolve(through(attended(x_TD, rows, qkv))),
    };
  }
  const moe = createMoe(feedForward, model, init);
  const { sharedExpert } = feedForward;
  const shared = sharedExpert ? createSharedExpert(sharedExpert, D, params, init.part("shared")) : null;
  /** The mixture's output with the shared expert's, where there is one. */
  const together = (x_TD: Tensor, step: RouteStep, residual_TD: Tensor | null, mixture: Mixed) =>
    shared ? shared.apply(x_TD, step, residual_TD, mixture) : mixture(residual_TD ?? undefined);
  return {
    params,
    moe: { layer: moe, spec: feedForward },
    free() {
      moe.free();
      shared?.free();
    },
    async apply(x_TD, step) {
      const attended_TD = attended(x_TD, step.sequences);
      const residual_TD = layer.residual ? attended_TD : null;
      const normed_TD = normed(attended_TD);
      const mixture = (base_TD?: Tensor) => moe.apply(normed_TD, step, base_TD);
      const output = await together(normed_TD, step, residual_TD, mixture);
      return { x_TD: output.y_TD, moe: { ...output, residual_TD } };
    },
    async applyBehind(x_TD, rows, step, { qkv, routed }) {
      const attended_TD = attended(x_TD, rows, qkv);
      const normed_TD = normed(attended_TD);
      const routing = await routeBehind({ layer: moe, past: routed, tokens: rows.past }, normed_TD, step);
      if (typeof routing === "number") return routing;
      const mixture = async (base_TD?: Tensor) => ({
        y_TD: await moe.compute(normed_TD, routing, step, base_TD),
        routing,
      });
      return (await together(normed_TD, step, layer.residual ? attended_TD : null, mixture)).y_TD;
    },
  };
}

/** x + attention(norm(x)) W_out. */
function createAttention(
  D: number,
  attention: AttentionSpec,
  residualScale: number,
  params: Record<string, Parameter>,
  init: Init,
): (x_TD: Tensor, rows: Sequences, earlier?: GrowingRows) => Tensor {
  const inner = 1 / Math.sqrt(D);
  const norm_D = params.attentionNorm = init.parameter("attentionNorm", [D], constant(1));
  const qkv_DC = params.qkv = init.parameter("qkv", [D, projectedColumns(D, attention)], normal(inner));
  const out_DD = params.attentionOut = init.parameter("attentionOut", [D, D], normal(inner * residualScale));
  return (x_TD, rows, earlier) => {
    const shape = { sequences: rows, ...attention };
    return stage(x_TD.backend, "attention", () => {
      const qkv = spending(
        matmul(rmsNorm(x_TD, norm_D), qkv_DC),
        (projected) => packedRope(projected, shape),
      );
      const own = earlier ? stopGradient(qkv) : qkv;
      const seen_TD = packedAttention(own, shape, earlier?.append(own));
      return spending(matmul(seen_TD, out_DD), (projected_TD) => add(x_TD, projected_TD));
    });
  };
}

/** residual + relu(x W_in + b_in) W_out + b_out. */
function createDense(
  D: number,
  { width, bias, outDeviation }: DenseSpec,
  params: Record<string, Parameter>,
  init: Init,
): (x_TD: Tensor, residual_TD: Tensor | null) => Tensor {
  const in_DF = params.in = init.parameter("in", [D, width], normal(1 / Math.sqrt(D)));
  const out_FD = params.out = init.parameter("out", [width, D], normal(outDeviation));
  const inBias_F = bias ? params.inBias = init.parameter("inBias", [width], constant(0)) : null;
  const outBias_D = bias ? params.outBias = init.parameter("outBias", [D], constant(0)) : null;
  const shifted = (y: Tensor, by: Tensor | null) => by ? spending(y, (each) => add(each, by)) : y;
  const network = (x_TD: Tensor, residual_TD: Tensor | null): Tensor => {
    const hidden_TF = spending(shifted(matmul(x_TD, in_DF), inBias_F), relu);
    const y_TD = shifted(matmul(hidden_TF, out_FD), outBias_D);
    return residual_TD ? spending(y_TD, (each_TD) => add(residual_TD, each_TD)) : y_TD;
  };
  return (x_TD, residual_TD) => stage(x_TD.backend, "dense", () => network(x_TD, residual_TD));
}

function createMoe(
  spec: MoeSpec,
  { D, input, length }: Pick<ModelSpec, "D" | "input" | "length">,
  init: Init,
): MoeLayer {
  const { E, F } = spec;
  const V = rowsOf(input);
  // Rows of frozen vectors are drawn evenly.
  const tokenCount_V = input.kind === "tokens" ? input.tokenCount_V : new Int32Array(V).fill(1);
  const called = `router "${spec.router.name}"`;
  const dims = { D, E, V, length, tokenCount_V };
  const router = asAuthored(
    called,
    () => spec.router.create(dims, spec.routerOptions, init.part("router")),
  );
  const experts = asAuthored(
    `experts "${spec.experts.name}"`,
    () => spec.experts.create({ D, F, E }, spec.expertOptions, init.part("experts")),
  );
  return createMoeLayer({ D, E, router, experts, called });
}
