// Soft MoE: no token is sent anywhere. Each expert computes on slots, weighted means of a sequence's tokens, and each
// token gets a weighted mean of what all slots gave. Every weight sees the whole sequence, so a decoder leaks the future.
import * as z from "zod";
import { add, affine, greater, multiply, where } from "../tensor/arithmetic.ts";
import { constant, normal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax, sumLast } from "../tensor/reduce.ts";
import { embedding, inverseOf, take, topK, transpose, wholeNumbers } from "../tensor/rows.ts";
import { areEqual, type Sequences } from "../tensor/sequences.ts";
import { reshape, seenFrom, type Tensor, tensor } from "../tensor/tensor.ts";
import type { MixturePart, RouterPlugin, Routing } from "./router.ts";
import { unitColumns, unitRows } from "./parts/scoring.ts";
import { zeroPadding } from "./parts/padding.ts";

/** Options of {@linkcode soft}. */
export interface SoftOptions {
  /** Slots of all experts per token. */
  readonly capacityFactor: number;
  /**
   * Slots of one expert in a sequence; null = L f / E, or 1 (released configurations) where L is not known.
   */
  readonly slots: number | null;
}

/** Soft mixture of experts (Puigcerver et al. 2023). */
export const soft: RouterPlugin<SoftOptions> = {
  name: "soft",
  about:
    "Experts see weighted means of a sequence's tokens, tokens get weighted means of experts; not causal.",
  paper: {
    title: "From Sparse to Soft Mixtures of Experts",
    year: 2023,
    identifier: "arXiv:2308.00951",
    equations: "section 2.1, equations 1 to 3; section 2.3 (normalisation)",
  },
  readings: [
    "Slot inputs are means of the tokens as they are, not of the normalised ones.",
    "Tokens mix within their own sequence, and padding weighs nothing.",
    "Reports name, for each expert, as many tokens as it has slots: those that weigh most in " +
    "its slots.",
  ],
  pitfalls: [
    "Every token sees its whole sequence, future included: perplexity of a language model " +
    "means nothing.",
    "Dispatch and combine cost 4 T M D operations, M = slots a sequence; active FLOPs per " +
    "token leave that out, as they do all of routing.",
  ],
  traits: { causal: false, balancedBy: "construction", perToken: "varies", gradient: "through weight" },
  options: z.strictObject({
    capacityFactor: z.number().positive().max(1000).default(1).describe("slots of all experts per token"),
    slots: z.number().int().min(1).nullable().default(null).describe(
      "slots of one expert in a sequence; null = L f / E, or 1 (released configurations) where L is not known",
    ),
  }),
  expertsPerToken: ({ capacityFactor }) => capacityFactor,
  create({ D, E, length }, options, init) {
    const factor = options.capacityFactor;
    const even = length === undefined ? 1 : Math.max(1, Math.round(factor * length / E));
    const S = options.slots ?? even;
    if (length !== undefined && S * E !== factor * length) {
      throw new RangeError(
        `Cannot make a soft router: ${S} slots for each of ${E} experts are not ${factor} per token in sequences of ` +
          `${length} tokens, so its cost would be another than it says`,
      );
    }
    const M = E * S;
    const params = {
      slots: init.parameter("slots", [D, M], normal(1 / Math.sqrt(D))),
      scale: init.parameter("scale", [1], constant(1)),
    };
    return {
      params,
      route(given_TD, { sequences, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const slots_DM = multiply(unitColumns(seenFrom(x_TD, params.slots), 1e-6), params.scale);
        const parts = partsOf(x_TD, sequences, real_T).map((part) => mix(part, slots_DM));
        return { ...heaviest(parts, sequences, { E, S, real_T, x_TD }), losses: {}, mixture: { parts } };
      },
    };
  },
};

/** Sequences of one length, to be mixed together. */
interface Part extends Pick<MixturePart, "x_TD" | "token_T"> {
  readonly L: number;
  readonly real_T: Tensor | undefined;
}

/** A part for each length there is; where there is one, it is the batch as it came. */
function partsOf(x_TD: Tensor, sequences: Sequences, real_T: Tensor | undefined): Part[] {
  if (areEqual(sequences)) return [{ x_TD, L: sequences.longest, real_T }];
  const { length_B, offset_B1 } = sequences;
  return [...new Set(length_B)].filter((L) => L > 0).map((L) => {
    const starts = [...length_B.keys()].filter((b) => length_B[b] === L).map((b) => offset_B1[b]);
    const token_T = Int32Array.from(
      starts.flatMap((start) => Array.from({ length: L }, (_, l) => start + l)),
    );
    const index_N = tensor(x_TD.backend, token_T, [token_T.length]);
    return { x_TD: embedding(x_TD, index_N), token_T, L, real_T: real_T && take(real_T, index_N) };
  });
}

/** Section 2.1: what each slot is made of, and what each token gets. */
function mix({ x_TD, token_T, L, real_T }: Part, slots_DM: Tensor): MixturePart {
  const [T] = x_TD.shape;
  const M = slots_DM.shape[1];
  const B = L === 0 ? 0 : T / L;
  const logit_TM = matmul(unitRows(x_TD, 1e-6), slots_DM); // section 2.3
  const perToken = (values_T: Tensor) => reshape(values_T, [T, 1]);
  // Padding weighs nothing in a slot that has a real token to show, and gets nothing back.
  const among_TM = real_T ? add(logit_TM, perToken(affine(real_T, 1e30, -1e30))) : logit_TM;
  const dispatch_BML = softmax(transpose(reshape(among_TM, [B, L, M]))); // equation 1
  const combine_TM = real_T ? multiply(softmax(logit_TM), perToken(real_T)) : softmax(logit_TM); // equation 2
  return { x_TD, ...(token_T ? { token_T } : {}), dispatch_BML, combine_BLM: reshape(combine_TM, [B, L, M]) };
}

/** For reports: an expert's tokens are those that weigh most in its slots, as many as it has slots. */
function heaviest(
  parts: readonly MixturePart[],
  { B, T }: Sequences,
  { E, S, real_T, x_TD }: { E: number; S: number; real_T: Tensor | undefined; x_TD: Tensor },
): Omit<Routing, "losses"> {
  const byPart = parts.map(({ token_T, dispatch_BML }) => {
    const [b, , L] = dispatch_BML.shape;
    const mass_TE = reshape(sumLast(reshape(transpose(dispatch_BML), [b * L * E, S])), [b * L, E]);
    return token_T ? take(mass_TE, tensor(x_TD.backend, inverseOf(token_T, T), [T])) : mass_TE;
  });
  const mass_TE = byPart.reduce(add);
  const real_TE = real_T ? multiply(mass_TE, reshape(real_T, [T, 1])) : mass_TE;
  const C = Math.min(T, B * S);
  const { value_TK: weight_EC, index_TK: token_EC } = topK(transpose(real_TE), C);
  const token_N = reshape(token_EC, [E * C]);
  const weight_N = reshape(weight_EC, [E * C]);
  const expert_N = wholeNumbers(x_TD, [E * C], (n) => Math.floor(n / C));
  const counted_N = real_T ? take(real_T, token_N) : greater(weight_N, tensor(x_TD.backend, [-1], [1]));
  const heaviest_N = where(counted_N, expert_N, wholeNumbers(x_TD, [E * C], () => -1));
  return { token_N, expert_N: heaviest_N, wanted_N: heaviest_N, weight_N, choices: null };
}
