// Hash: a fixed function of the text alone chooses the expert; no gate, no weight, no loss, no capacity. Where a token has
// no predecessor, its own id takes the place of the previous one's.
import * as z from "zod";
import * as kernels from "../kernels/mod.ts";
import { take, wholeNumbers } from "../tensor/rows.ts";
import type { Random } from "../tensor/random.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { apply, type Parameter, reshape, type Tensor, tensor } from "../tensor/tensor.ts";
import { maskExperts } from "./parts/capacity.ts";
import { tokenIdsOf, vocabularyOf } from "./parts/token_ids.ts";
import type { RouterDims, RouterPlugin, RouteStep } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode hash}. */
export interface HashOptions {
  /** What chooses the expert: the token's id, the one before it, both, or the place in the sequence. */
  readonly key: "token" | "previous" | "bigram" | "position";
  /** How keys are spread over experts; balanced positions take turns, bigrams are always hashed. */
  readonly table: "random" | "balanced";
}

/** Hash layers (Roller et al. 2021). */
export const hash: RouterPlugin<HashOptions> = {
  name: "hash",
  about:
    "A fixed table from token id to expert, random or balanced by how often words occur; or by previous id, pair or position.",
  paper: {
    title: "Hash Layers For Large Sparse Models",
    year: 2021,
    identifier: "arXiv:2106.04426",
    equations: "section 2; greedy detail of the balanced table from a secondary source",
  },
  readings: [
    "The balanced table is greedy, most frequent id first, ties to the lower expert; ids never seen take turns.",
    "A sequence's first token stands in for its own predecessor (keys previous and bigram).",
    "Balanced positions take turns over experts, and bigrams are hashed whatever the table.",
  ],
  pitfalls: [
    "The id is hashed, never the hidden state, and nothing is weighed or learned.",
    "A table belongs to the seed: drawn anew, every expert would meet other words.",
    "id mod E is not balanced where ids are sorted by frequency.",
  ],
  traits: { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "none" },
  options: z.strictObject({
    key: z.enum(["token", "previous", "bigram", "position"]).default("token")
      .describe(
        "what chooses the expert: the token's id, the one before it, both, or the place in the sequence",
      ),
    table: z.enum(["random", "balanced"]).default("balanced").describe(
      "how keys are spread over experts; balanced positions take turns, bigrams are always hashed",
    ),
  }),
  expertsPerToken: () => 1,
  create(dims, options, init) {
    const { E } = dims;
    const stream = init.random.split("table");
    const byId = options.key === "token" || options.key === "previous";
    const table = byId ? tableOf(dims, options, stream) : new Int32Array();
    const expertsOf = (x_TD: Tensor, step: RouteStep): Tensor => {
      const { sequences } = step;
      const tokenId_T = () => tokenIdsOf(step, "hash");
      const lookUp = (key_T: Tensor) => take(tensor(key_T.backend, table, [table.length]), key_T);
      switch (options.key) {
        case "token":
          return lookUp(tokenId_T());
        case "previous":
          return lookUp(previousOf(tokenId_T(), sequences));
        case "bigram": {
          const params = { seed: stream.key[0], groups: E };
          return apply(kernels.hashPairs, [previousOf(tokenId_T(), sequences), tokenId_T()], params)[0];
        }
        case "position": {
          const { longest, position_T } = sequences;
          const experts = options.table === "random"
            ? randomTable(longest, E, stream.uniform(longest))
            : Int32Array.from({ length: longest }, (_, position) => position % E);
          return wholeNumbers(x_TD, [sequences.T], (t) => experts[position_T[t]]);
        }
        default:
          return options.key satisfies never;
      }
    };
    const params: Readonly<Record<string, Parameter>> = {};
    return {
      params,
      route(x_TD, step) {
        const [T] = x_TD.shape;
        const wanted_TK = maskExperts(reshape(expertsOf(x_TD, step), [T, 1]), step.real_T);
        const weight_TK = tensor(x_TD.backend, new Float32Array(T).fill(1), [T, 1]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
      },
    };
  },
};

function tableOf(dims: RouterDims, { table }: HashOptions, stream: Random): Int32Array {
  const V = vocabularyOf(dims, "hash");
  return table === "random" ? randomTable(V, dims.E, stream.uniform(V)) : balancedTable({ ...dims, V });
}

/** The id before each token in its sequence; a sequence's first token stands in for its own predecessor. */
function previousOf(tokenId_T: Tensor, { position_T }: Sequences): Tensor {
  return take(tokenId_T, wholeNumbers(tokenId_T, tokenId_T.shape, (t) => position_T[t] === 0 ? t : t - 1));
}

/** An expert drawn for each id. */
export function randomTable(V: number, E: number, uniform_V: Float32Array): Int32Array {
  return Int32Array.from({ length: V }, (_, id) => Math.floor(uniform_V[id] * E));
}

/**
 * Ids from most to least frequent, each to the expert with the least training tokens so far; ties to the lower index.
 * Ids never seen in training take turns.
 */
export function balancedTable(
  { V, E, tokenCount_V }: RouterDims & { readonly V: number },
): Int32Array {
  if (!tokenCount_V) {
    throw new RangeError(
      'Cannot build a balanced hash table: it needs tokenCount_V, how often each id occurs in training; or choose table "random"',
    );
  }
  if (tokenCount_V.length !== V) {
    throw new RangeError(
      `Cannot build a balanced hash table: tokenCount_V has ${tokenCount_V.length} counts for ${V} ids`,
    );
  }
  const byFrequency = Array.from({ length: V }, (_, id) => id).sort((a, b) =>
    tokenCount_V[b] - tokenCount_V[a] || a - b
  );
  const seenTokens = new Float64Array(E);
  const unseenIds = new Float64Array(E);
  const table = new Int32Array(V);
  for (const id of byFrequency) {
    const load = tokenCount_V[id] > 0 ? seenTokens : unseenIds;
    let least = 0;
    for (let expert = 1; expert < E; expert++) if (load[expert] < load[least]) least = expert;
    table[id] = least;
    load[least] += tokenCount_V[id] || 1;
  }
  return table;
}
