// A pass over the tokens of a sequence that a cache does not hold. What it gives is what one pass over all of them gives:
// where a router decides otherwise of a token in the cache (its capacity grew with the sequence, say), all from that token on
// are computed again.
import type { Backend } from "../kernels/kernel.ts";
import { layOut } from "../routers/parts/topology.ts";
import type { Random } from "../tensor/random.ts";
import { sliceRows } from "../tensor/row_blocks.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { Block } from "./block.ts";
import type { TokenCache } from "./cache.ts";
import { type ModelSpec, rowsOf } from "./spec.ts";

/** A model's parts. */
export interface ModelParts {
  readonly spec: ModelSpec;
  readonly blocks: readonly Block[];
  /** i32 [T] -> f32 [T, D]. */
  read(tokenId_T: Tensor): Tensor;
  /** f32 [T, D] -> [T, V]. */
  scores(x_TD: Tensor): Tensor;
}

/** Where the pass runs. */
interface At {
  /** Steps of training the model has behind it. */
  readonly step: number;
  readonly random: Random;
  readonly backend: Backend;
}

/** Scores of what follows the tokens, f32 [1, V]; the cache holds all of them then. */
export async function scoreNext(
  parts: ModelParts,
  tokenId: Int32Array,
  cache: TokenCache,
  at: At,
): Promise<Tensor> {
  checkTokens(tokenId, parts.spec);
  const differs = tokenId.findIndex((id, t) => id !== cache.tokenId[t]);
  // The last token is always computed: its scores are not kept.
  let from = differs < 0 ? tokenId.length - 1 : differs;
  for (;;) {
    cache.cut(from);
    const found = await passFrom(from, parts, tokenId, cache, at);
    if (typeof found !== "number") {
      cache.hold(tokenId);
      return found;
    }
    from = found;
  }
}

/** Scores behind the last token, computed from token `from` on; or an earlier token to begin with. */
async function passFrom(
  from: number,
  { spec, blocks, read, scores }: ModelParts,
  tokenId: Int32Array,
  cache: TokenCache,
  { step, random, backend }: At,
): Promise<Tensor | number> {
  const T = tokenId.length;
  const [all, rows] = [sequencesOf([T]), sequencesOf([T - from], from)];
  const tokenId_T = tensor(backend, tokenId, [T]);
  let x_TD = read(from === 0 ? tokenId_T : sliceRows(tokenId_T, from, T));
  for (const [at, block] of blocks.entries()) {
    const { ranks, ranksPerNode } = spec;
    const topology = layOut({ sequences: all, E: block.moe?.spec.E ?? 1, ranks, ranksPerNode });
    const stream = random.split(at);
    const routeStep = { training: false, step, random: stream, tokenId_T, sequences: all, topology };
    const found = await block.applyBehind(x_TD, rows, routeStep, cache.layers[at]);
    if (typeof found === "number") return found;
    x_TD = found;
  }
  return scores(sliceRows(x_TD, T - from - 1, T - from));
}

function checkTokens(tokenId: Int32Array, { input }: ModelSpec): void {
  if (tokenId.length === 0) throw new RangeError("Cannot say what follows no tokens: give one or more");
  const outside = tokenId.find((id) => id < 0 || id >= rowsOf(input));
  if (outside === undefined) return;
  throw new RangeError(
    `Cannot say what follows token id ${outside}: it is outside the vocabulary, 0 to ${rowsOf(input) - 1}`,
  );
}
