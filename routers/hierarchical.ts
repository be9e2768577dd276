// Two levels of noisy top-k: a first gate picks groups of experts, a gate of each group picks experts inside, and the
// weights multiply. A token goes to k1 k2 experts; none is dropped.
import * as z from "zod";
import { add, affine, divide, multiply } from "../tensor/arithmetic.ts";
import { maximum } from "../tensor/piecewise.ts";
import { matmul } from "../tensor/products.ts";
import { sumFirst } from "../tensor/reduce.ts";
import { putAlong, takeAlong, topK } from "../tensor/rows.ts";
import { reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import { maskExperts } from "./parts/capacity.ts";
import { squaredVariation } from "./parts/losses.ts";
import { zeroPadding } from "./parts/padding.ts";
import {
  type NoisyChoices,
  type NoisyGateOptions,
  noisyGateOptions,
  noisyGateParams,
  noisyScores,
  noisyTopK,
} from "./parts/noisy_gate.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./parts/scoring.ts";

/** Options of {@linkcode hierarchical}. */
export interface HierarchicalOptions extends NoisyGateOptions {
  /**
   * Groups a (the paper's first level branches 16 ways or more); null = the divisor of E nearest to its root.
   */
  readonly expertGroups: number | null;
  /** Groups a token goes to. */
  readonly k1: number;
  /** Experts a token goes to in each of its groups. */
  readonly k2: number;
}

/** The hierarchical mixture of experts (Shazeer et al. 2017, appendix B). */
export const hierarchical: RouterPlugin<HierarchicalOptions> = {
  name: "hierarchical",
  about: "Noisy top-k over groups of experts, then noisy top-k inside each group that was picked.",
  paper: {
    title: "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer",
    year: 2017,
    identifier: "arXiv:1701.06538",
    equations: "appendix B, equations 12 to 14, on section 2.1 and appendix A",
  },
  readings: [
    "Groups of experts are blocks of the bank, a as near to the root of E as divides it " +
    "unless given.",
    "Every group gates every token, and only picked groups count; the result is the same, the " +
    "cost T E scores.",
    "A group that no token was sent to has a load of 0.",
  ],
  pitfalls: [
    "With k2 = 1 the inner gates get gradient from the losses alone, and with k1 = 1 the " +
    "outer one does.",
  ],
  traits: { causal: true, balancedBy: "loss", perToken: "exactly K", gradient: "through weight" },
  renamed: { groups: "expertGroups" },
  options: z.strictObject({
    expertGroups: z.number().int().min(1).nullable().default(null).describe(
      "groups a (the paper's first level branches 16 ways or more); null = the divisor of E nearest to its root",
    ),
    k1: z.number().int().min(1).default(2).describe("groups a token goes to"),
    k2: z.number().int().min(1).default(2).describe("experts a token goes to in each of its groups"),
    ...noisyGateOptions,
  }),
  expertsPerToken: ({ k1, k2 }) => k1 * k2,
  create({ D, E }, options, init) {
    const groups = options.expertGroups ?? nearestDivisor(E, options);
    const inside = E / groups;
    if (!Number.isInteger(inside) || options.k1 > groups || options.k2 > inside) {
      throw new RangeError(
        `Cannot make a hierarchical router: ${options.k1} of ${groups} groups and ${options.k2} of the experts in each ` +
          `do not fit ${E} experts`,
      );
    }
    const K = options.k1 * options.k2;
    const first = noisyGateParams(D, groups, options, init.part("first"));
    const second = noisyGateParams(D, E, options, init.part("second"));
    const name = (level: string, params: typeof first) =>
      Object.fromEntries(
        Object.entries(params).map((
          [part, param],
        ) => [`${level}${part[0].toUpperCase()}${part.slice(1)}`, param]),
      );
    return {
      params: { ...name("first", first), ...name("second", second) },
      route(given_TD, { training, random, real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const [T] = x_TD.shape;
        const stream = (level: string) => training ? random.split(level) : null;
        const groupScores = noisyScores(x_TD, first, groups, options);
        const chosen = noisyTopK(groupScores, options.k1, options, stream("first"));
        // One row for each token and group: every group's gate looks at every token, only the picked ones count.
        const expertScores = noisyScores(x_TD, second, inside, options);
        const within = noisyTopK(expertScores, options.k2, options, stream("second"));
        const flat = (values: Tensor) => reshape(values, [T, E]);
        const perExpert = (value_TG: Tensor) => spread(value_TG, inside);
        const gate_TE = multiply(perExpert(chosen.gate_TE), flat(within.gate_TE)); // equation 12
        const picked_TG = placesOf(chosen, T, groups);
        const picked_TE = multiply(perExpert(picked_TG), flat(placesOf(within, T * groups, inside)));
        // Weights may underflow, so the pick itself decides, and the weight only the order.
        const key_TE = add(picked_TE, affine(stopGradient(gate_TE), 0.5, 0));
        const { index_TK } = topK(key_TE, K);

        const real = (values: Tensor) => real_T ? multiply(values, reshape(real_T, [T, 1])) : values;
        const importance_E = sumFirst(real(gate_TE)); // equation 13
        const losses: Record<string, Tensor> = {
          importance: affine(squaredVariation(importance_E, options.variance), options.importance, 0),
        };
        if (chosen.selected_TE && within.selected_TE) {
          // Equation 14: Load_ij = Load_prim_i Load_i(X^i)_j / |X^i|, X^i the tokens sent to group i.
          const sent_TG = real(picked_TG);
          const sent_G = maximum(sumFirst(sent_TG), tensor(x_TD.backend, [1], [1]));
          const groupLoad_G = divide(sumFirst(real(chosen.selected_TE)), sent_G);
          const insideLoad_E = sumFirst(multiply(perExpert(sent_TG), flat(within.selected_TE)));
          const load_E = multiply(insideLoad_E, reshape(perExpert(reshape(groupLoad_G, [1, groups])), [E]));
          losses.load = affine(squaredVariation(load_E, options.variance), options.load, 0);
        }
        const wanted_TK = maskExperts(index_TK, real_T);
        const choices = { wanted_TK, expert_TK: wanted_TK, weight_TK: takeAlong(gate_TE, index_TK) };
        return tokenChoice(choices, { probability_TE: gate_TE, losses });
      },
    };
  },
};

/** The divisor of E nearest to its square root that leaves room for the choices, the smaller of two as near. */
function nearestDivisor(E: number, { k1, k2 }: HierarchicalOptions): number {
  const fits = Array.from({ length: E }, (_, at) => at + 1)
    .filter((groups) => E % groups === 0 && groups >= k1 && E / groups >= k2);
  const distance = (groups: number) => Math.abs(Math.log(groups * groups / E));
  return fits.reduce(
    (best, groups) => distance(groups) < distance(best) - 1e-9 ? groups : best,
    fits[0] ?? 1,
  );
}

/** [T, G] -> [T, G inside]: each value repeated for the experts of its group. */
function spread(value_TG: Tensor, inside: number): Tensor {
  const [, groups] = value_TG.shape;
  const E = groups * inside;
  const member = Float32Array.from(
    { length: groups * E },
    (_, at) => Math.floor((at % E) / inside) === Math.floor(at / E) ? 1 : 0,
  );
  return matmul(value_TG, tensor(value_TG.backend, member, [groups, E]));
}

/** 1 where a score was picked, 0 elsewhere; a constant. */
function placesOf({ index_TK }: NoisyChoices, rows: number, columns: number): Tensor {
  const K = index_TK.shape[1];
  const ones = tensor(index_TK.backend, new Float32Array(rows * K).fill(1), [rows, K]);
  return putAlong(ones, index_TK, columns);
}
