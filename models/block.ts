// One transformer block: x + attention(norm(x)), then x + feed-forward or MoE(norm(x)).
import type { MoeLayer, MoeOutput } from "../moe/layer.ts";
import type { RouteStep } from "../routers/router.ts";
import { add, relu } from "../tensor/arithmetic.ts";
import { constant, type Init, normal, type Params } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { packedAttention, packedRope, rmsNorm } from "../tensor/transformer.ts";

/** Sizes of a block. */
export interface BlockDims {
  readonly D: number;
  readonly heads: number;
  /** Hidden units of a dense feed-forward network. */
  readonly units: number;
  /** Standard deviation factor of projections back into the residual: 1 / sqrt(2 blocks). */
  readonly residualScale: number;
}

/** A block with its parameters by name. */
export interface Block {
  readonly params: Params;
  /** The MoE layer, or null for a dense block. */
  readonly moe: MoeLayer | null;
  apply(x_TD: Tensor, step: RouteStep): Promise<{ x_TD: Tensor; moe: MoeOutput | null }>;
}

/** Makes a block; `moe` takes the place of the dense feed-forward network when given. */
export function createBlock(dims: BlockDims, moe: MoeLayer | null, init: Init): Block {
  const { D, heads, units, residualScale } = dims;
  const inner = 1 / Math.sqrt(D);
  const params: Record<string, Parameter> = {
    attentionNorm: init.parameter("attentionNorm", [D], constant(1)),
    qkv: init.parameter("qkv", [D, 3 * D], normal(inner)),
    attentionOut: init.parameter("attentionOut", [D, D], normal(inner * residualScale)),
    feedForwardNorm: init.parameter("feedForwardNorm", [D], constant(1)),
  };
  if (!moe) {
    params.in = init.parameter("in", [D, units], normal(inner));
    params.out = init.parameter("out", [units, D], normal(residualScale / Math.sqrt(units)));
  }
  return {
    params,
    moe,
    async apply(x_TD, step) {
      const shape = { sequences: step.sequences, heads };
      const qkv = spending(
        matmul(rmsNorm(x_TD, params.attentionNorm), params.qkv),
        (projected) => packedRope(projected, shape),
      );
      const attended_TD = spending(
        matmul(packedAttention(qkv, shape), params.attentionOut),
        (projected_TD) => add(x_TD, projected_TD),
      );
      const normed_TD = rmsNorm(attended_TD, params.feedForwardNorm);
      if (!moe) {
        const hidden = spending(matmul(normed_TD, params.in), relu);
        const out_TD = spending(matmul(hidden, params.out), (y_TD) => add(attended_TD, y_TD));
        return { x_TD: out_TD, moe: null };
      }
      const output = await moe.apply(normed_TD, step, attended_TD);
      return { x_TD: output.y_TD, moe: output };
    },
  };
}
