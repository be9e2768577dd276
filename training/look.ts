// Where single tokens go: for each token and mixture, the experts it asked for and got, their weights, and the router's
// distribution, as in evaluation.
import type { Backend } from "../kernels/kernel.ts";
import type { LayerOutput, Model } from "../models/model.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import type { Sequences } from "../tensor/sequences.ts";

/** One token in one mixture. */
export interface TokenInLayer {
  /** Place of the layer in the model, counted from 0. */
  readonly layer: number;
  /** Experts asked for before capacity. */
  readonly wanted: readonly number[];
  /** Experts that took the token, with the weight of each one's output. */
  readonly kept: readonly { readonly expert: number; readonly weight: number }[];
  /** Expert asked for that had no room. */
  readonly dropped: readonly number[];
  /** The router's distribution over experts, where it has one. */
  readonly probability: readonly number[] | null;
}

/** One token. */
export interface TokenLook {
  /** Number of the token. */
  readonly tokenId: number;
  /** What each mixture did with it. */
  readonly layers: readonly TokenInLayer[];
}

/** Runs some tokens through a model and tells where each went. */
export async function look(
  model: Model,
  backend: Backend,
  tokenId: Int32Array,
  sequences: Sequences,
  step: number,
): Promise<readonly TokenLook[]> {
  using _scope = memory(backend);
  const { layers } = await model.forward({ tokenId_T: tokenId, sequences }, {
    training: false,
    step,
    random: random(0),
    backend,
  });
  const byLayer = await Promise.all(layers.map((layer) => tokensOf(layer, tokenId.length)));
  return Array.from(tokenId, (id, at) => ({ tokenId: id, layers: byLayer.map((tokens) => tokens[at]) }));
}

/** What one mixture did with each token, read back. */
export async function tokensOf({ layer, E, routing }: LayerOutput, T: number): Promise<TokenInLayer[]> {
  const { token_N, wanted_N, expert_N, weight_N, probability_TE } = routing;
  const [token, wanted, expert, weight] = await Promise.all(
    [token_N, wanted_N, expert_N, weight_N].map((each) => each.read()),
  );
  const probability = await probability_TE?.read();
  const found = Array.from({ length: T }, (_, t) => ({
    layer,
    wanted: [] as number[],
    kept: [] as { expert: number; weight: number }[],
    dropped: [] as number[],
    probability: probability ? [...probability.subarray(t * E, (t + 1) * E)] : null,
  }));
  for (let n = 0; n < token.length; n++) {
    const one = found[token[n]];
    if (wanted[n] >= 0) one.wanted.push(wanted[n]);
    if (expert[n] >= 0) one.kept.push({ expert: expert[n], weight: weight[n] });
    else if (wanted[n] >= 0) one.dropped.push(wanted[n]);
  }
  return found;
}
