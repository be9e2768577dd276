// Soft routing in a layer: experts read slots instead of tokens, and tokens are made of slots. Parts of a mixture are
// computed apart and meet in one array of slots, so that experts run once.
import type { Mixture } from "../routers/router.ts";
import { add } from "../tensor/arithmetic.ts";
import { batchedMatmul } from "../tensor/products.ts";
import { embedding, inverseOf, wholeNumbers } from "../tensor/rows.ts";
import { dims, reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import type { ExpertInput, Transport } from "./transport.ts";

/** @throws {RangeError} when a mixture's arrays do not fit each other, T tokens or E experts. */
export function checkMixture({ parts }: Mixture, T: number, E: number): void {
  let [tokens, slots] = [0, 0];
  for (const { x_TD, token_T, dispatch_BML, combine_BLM } of parts) {
    const { B, M, L } = dims(dispatch_BML, "BML", { M: slots === 0 ? dispatch_BML.shape[1] : slots });
    dims(combine_BLM, "BLM", { B, L, M });
    dims(x_TD, "TD", { T: B * L });
    if (M % E !== 0) {
      throw new RangeError(`Cannot apply the MoE layer: ${M} slots are no equal number for ${E} experts`);
    }
    slots = M;
    tokens += token_T ? token_T.length : T;
  }
  if (tokens !== T) {
    throw new RangeError(`Cannot apply the MoE layer: a mixture holds ${tokens} tokens, not ${T}`);
  }
}

/**
 * Experts work on slots, weighted means of each sequence's tokens, each slot kept by its own expert; tokens get weighted
 * means of what experts made of slots.
 */
export function throughSlots(mixture: Mixture, x_TD: Tensor, E: number, residual_TD?: Tensor): Transport {
  const [T] = x_TD.shape;
  return {
    ...slotsOf(mixture, x_TD, E),
    finish(combined) {
      const mixed_TD = tokensOf(mixture, combined, T);
      return residual_TD ? add(residual_TD, mixed_TD) : mixed_TD;
    },
  };
}

function slotsOf({ parts }: Mixture, like: Tensor, E: number): ExpertInput {
  const M = parts[0].dispatch_BML.shape[1];
  const N = parts.reduce((sum, { dispatch_BML: { shape } }) => sum + shape[0] * M, 0);
  const slots = parts.map(({ x_TD, dispatch_BML }) => {
    const [B, , L] = dispatch_BML.shape;
    return reshape(batchedMatmul(dispatch_BML, reshape(x_TD, [B, L, x_TD.shape[1]])), [B * M, x_TD.shape[1]]);
  });
  return {
    x_TD: together(slots, slotsOfParts(slots), N),
    token_N: wholeNumbers(like, [N], (n) => n),
    expert_N: wholeNumbers(like, [N], (n) => Math.floor((n % M) / (M / E))),
    weight_N: tensor(like.backend, new Float32Array(N).fill(1), [N]),
    choices: 1,
  };
}

/** What tokens get of what experts made of slots, [T, D]. */
function tokensOf({ parts }: Mixture, slots_ND: Tensor, T: number): Tensor {
  const D = slots_ND.shape[1];
  const places = slotsOfParts(parts.map(({ dispatch_BML: { shape } }) => ({ shape: [shape[0] * shape[1]] })));
  const rows = parts.map(({ combine_BLM }, at) => {
    const [B, L, M] = combine_BLM.shape;
    const own = parts.length === 1
      ? slots_ND
      : embedding(slots_ND, tensor(slots_ND.backend, places[at], [B * M]));
    return reshape(batchedMatmul(combine_BLM, reshape(own, [B, M, D])), [B * L, D]);
  });
  return together(rows, parts.map(({ token_T }) => token_T), T);
}

/** Slots of each part, one part after the other. */
function slotsOfParts(parts: readonly { readonly shape: readonly number[] }[]): Int32Array[] {
  let from = 0;
  return parts.map(({ shape: [count] }) => {
    const places = Int32Array.from({ length: count }, (_, n) => from + n);
    from += count;
    return places;
  });
}

/** Rows of all parts at their places among `size`; a part alone is in place. */
function together(
  parts: readonly Tensor[],
  places: readonly (Int32Array | undefined)[],
  size: number,
): Tensor {
  if (parts.length === 1) return parts[0];
  return parts.map((rows, at) => embedding(rows, tensor(rows.backend, inverseOf(places[at]!, size), [size])))
    .reduce(add);
}
