// Hash: a fixed table from token id to expert; no gate, no weight, no loss, no capacity.
import { z } from "zod";
import { take } from "../tensor/rows.ts";
import { type Parameter, reshape, tensor } from "../tensor/tensor.ts";
import { leaveOutPadding } from "./capacity.ts";
import type { RouterDims, RouterPlugin } from "./router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options of {@linkcode hash}. */
export interface HashOptions {
  readonly table: "random" | "balanced";
}

/** Hash layers (Roller et al. 2021). */
export const hash: RouterPlugin<HashOptions> = {
  name: "hash",
  about: "A fixed table from token id to expert: random, or balanced by how often words occur in training.",
  paper: {
    title: "Hash Layers For Large Sparse Models",
    year: 2021,
    identifier: "arXiv:2106.04426",
    equations: "section 2; greedy detail of the balanced table from a secondary source",
  },
  traits: { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "none" },
  options: z.strictObject({
    table: z.enum(["random", "balanced"]).default("balanced").describe("how ids are spread over experts"),
  }),
  expertsPerToken: () => 1,
  create(dims, options, init) {
    const table = options.table === "random"
      ? randomTable(dims.V, dims.E, init.random.split("table").uniform(dims.V))
      : balancedTable(dims);
    const params: Readonly<Record<string, Parameter>> = {};
    return {
      params,
      route(x_TD, { tokenId_T, real_T }) {
        const [T] = x_TD.shape;
        const table_V = tensor(x_TD.backend, table, [dims.V]);
        const wanted_TK = leaveOutPadding(reshape(take(table_V, tokenId_T), [T, 1]), real_T);
        const weight_TK = tensor(x_TD.backend, new Float32Array(T).fill(1), [T, 1]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
      },
    };
  },
};

/** An expert drawn for each id. */
export function randomTable(V: number, E: number, uniform_V: Float32Array): Int32Array {
  return Int32Array.from({ length: V }, (_, id) => Math.floor(uniform_V[id] * E));
}

/**
 * Ids from most to least frequent, each to the expert with the least training tokens so far; ties to the lower index.
 * Ids never seen in training take turns.
 */
export function balancedTable({ V, E, tokenCount_V }: RouterDims): Int32Array {
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
