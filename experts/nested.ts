// Nested experts: each is a layer of its own, a gate and `innerCount` inner experts of any kind. A token takes the best k.
// The inner experts of all layers are one bank, and their gates one grouped product.
import * as z from "zod";
import { affine, where } from "../tensor/arithmetic.ts";
import { normal } from "../tensor/init.ts";
import { release, spending } from "../tensor/memory.ts";
import { groupedMatmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import {
  assignmentsOf,
  combineRows,
  dispatchRows,
  groupBy,
  putAlong,
  sortRows,
  take,
  takeAlong,
  topK,
  wholeNumbers,
} from "../tensor/rows.ts";
import { reshape, stopGradient, type Tensor } from "../tensor/tensor.ts";
import type { ExpertBank, ExpertDims, ExpertPlugin } from "./expert.ts";
import { bankBytes } from "./parts/bank_bytes.ts";
import { completedKind, kindOf, type KnownKinds, type NamedKind, standIn } from "./parts/kind.ts";

/** Options of {@linkcode nestedExperts}. */
export interface NestedOptions {
  /** Inner experts of each expert, F wide each. */
  readonly innerCount: number;
  /** Inner experts a token goes to, at most innerCount. */
  readonly k: number;
  /** Kind of the inner experts, its own options beside its name. */
  readonly inner: NamedKind;
  /** Standard deviation of inner experts' W_out, times sqrt(k), where they leave it null. */
  readonly outDeviation: number | null;
}

/** Arrays of one number for each inner choice that stay for the backward pass. */
const CHOICES = 6;

/**
 * Nested experts, with inner experts of a kind that `known` finds: the second level of a hierarchical mixture (Jordan and
 * Jacobs 1994), under any router as the first.
 * @example
 * ```ts
 * import { findExperts, parseExpertOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const nested = findExperts("nested");
 * const options = parseExpertOptions(nested, { innerCount: 3, inner: { name: "swiglu" } });
 * // Three inner experts of three matrices and a gate; a token passes through one of them and the gate.
 * const dims = { D: 4, F: 8, E: 2 };
 * assertEquals(nested.parameters(dims, options), 3 * 96 + 4 * 3);
 * assertEquals(nested.flopPerToken(dims, options), 192 + 2 * 4 * 3);
 * ```
 */
export function nestedExperts(known: KnownKinds): ExpertPlugin<NestedOptions> {
  const innerOf = ({ inner, k, outDeviation }: NestedOptions) =>
    kindOf(known, inner, outDeviation && outDeviation / Math.sqrt(k));
  const innerDims = ({ D, F, E }: ExpertDims, { innerCount }: NestedOptions) => ({ D, F, E: E * innerCount });
  return {
    name: "nested",
    about: "A layer of its own for each expert: a softmax gate and inner experts; a token takes the best k.",
    readings: [
      "The inner gate is the plainest there is: weights are softmax probabilities as they are, without capacity, noise or a " +
      "balance loss, since a bank has no way to give a router's losses to the model.",
    ],
    options: z.strictObject({
      innerCount: z.number().int().min(1).default(4).describe("inner experts of each expert, F wide each"),
      k: z.number().int().min(1).default(1).describe("inner experts a token goes to, at most innerCount"),
      inner: z.looseObject({ name: z.string() }).transform((kind, context) =>
        completedKind(known, kind, context)
      ).prefault({ name: "feed-forward" }).describe(
        "kind of the inner experts, its own options beside its name",
      ),
      outDeviation: z.number().positive().nullable().default(null).describe(
        "standard deviation of inner experts' W_out, times sqrt(k), where they leave it null",
      ),
    }).refine(({ k, innerCount }) => k <= innerCount, { error: "k is more than innerCount", path: ["k"] }),
    renamed: { count: "innerCount" },
    parameters(dims, options) {
      const { plugin, options: own } = innerOf(options);
      return options.innerCount * (plugin.parameters(innerDims(dims, options), own) + dims.D);
    },
    sharedParameters(dims, options) {
      const { plugin, options: own } = innerOf(options);
      return plugin.sharedParameters?.(innerDims(dims, options), own) ?? 0;
    },
    keptBytes(dims, options) {
      const { plugin, options: own } = innerOf(options);
      return 4 * dims.E * options.innerCount * dims.D + bankBytes(plugin, innerDims(dims, options), own);
    },
    flopPerToken(dims, options) {
      const { plugin, options: own } = innerOf(options);
      return options.k * plugin.flopPerToken(innerDims(dims, options), own) + 2 * dims.D * options.innerCount;
    },
    activationsPerToken(dims, options) {
      const { plugin, options: own } = innerOf(options);
      const inner = plugin.activationsPerToken(innerDims(dims, options), own);
      return 2 * dims.D + 2 * options.innerCount + options.k * (CHOICES + inner);
    },
    dense(options) {
      const { plugin, options: own } = innerOf(options);
      return standIn(plugin, own);
    },
    create(dims, options, init) {
      const { plugin, options: own } = innerOf(options);
      const gate_EDC = init.parameter(
        "gate",
        [dims.E, dims.D, options.innerCount],
        normal(1 / Math.sqrt(dims.D)),
      );
      const bank = plugin.create(innerDims(dims, options), own, init.part("inner"));
      return layers(gate_EDC, bank, dims, options);
    },
  };
}

function layers(
  gate_EDC: ExpertBank["params"][string],
  bank: ExpertBank,
  { E }: ExpertDims,
  { innerCount: count, k }: NestedOptions,
): ExpertBank {
  const named = <Value>(of: Readonly<Record<string, Value>> = {}) =>
    Object.fromEntries(Object.entries(of).map(([name, value]) => [`inner.${name}`, value]));
  const every = Array.from({ length: E * count }, (_, inner) => inner);
  const owners = Object.fromEntries(
    Object.keys(bank.params).map((name) => [
      name,
      (bank.owners?.[name] ?? every).map((inner) => Math.floor(inner / count)),
    ]),
  );
  return {
    params: { gate: gate_EDC, ...named(bank.params) },
    shared: named(bank.shared),
    owners: named(owners),
    free: () => bank.free?.(),
    async apply({ rows, offset_O, random }) {
      const { byExpert } = rows;
      const rows_ND = dispatchRows(rows);
      const [N] = rows_ND.shape;
      const own_NC = spending(
        take(byExpert.key_N, byExpert.order_N),
        (expert_N) => take(wholeNumbers(rows_ND, [E, count], (at) => at), expert_N),
      );
      const probability_NC = spending(groupedMatmul(rows_ND, gate_EDC, offset_O), softmax);
      const { inner_NK, weight_NK } = choose(probability_NC, own_NC, E * count, k);
      const byInner = groupBy(reshape(inner_NK, [N * k]), E * count);
      const token_M = wholeNumbers(rows_ND, [N * k], (at) => Math.floor(at / k));
      const assignments = assignmentsOf(token_M, N, k);
      const made_MD = await bank.apply({
        rows: sortRows(rows_ND, assignments, byInner),
        offset_O: byInner.offset_O,
        ...(random ? { random: random.split("inner") } : {}),
      });
      return combineRows(made_MD, reshape(weight_NK, [N * k]), assignments, byInner);
    },
  };
}

/**
 * The k most probable of a row's own inner experts and their probabilities, [N, k]; -1 in rows that have none.
 * @param own_NC Their numbers among all; -1 in rows past the last.
 */
function choose(probability_NC: Tensor, own_NC: Tensor, all: number, k: number) {
  // Above all that is not the row's own, which stays 0.
  const above = spending(
    affine(stopGradient(probability_NC), 1, 1),
    (score_NC) => putAlong(score_NC, own_NC, all),
  );
  const { value_TK: score_NK, index_TK: found_NK } = topK(above, k);
  release(above);
  const none_NK = wholeNumbers(own_NC, found_NK.shape, () => -1);
  const inner_NK = where(score_NK, found_NK, none_NK);
  release(score_NK);
  release(none_NK);
  const weight_NK = spending(putAlong(probability_NC, own_NC, all), (spread) => takeAlong(spread, found_NK));
  return { inner_NK, weight_NK };
}
