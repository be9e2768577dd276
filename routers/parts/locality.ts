// LocMoE's locality loss: how far the experts that a rank's tokens lean to are from the experts on that rank's own node.
import * as z from "zod";
import type { Backend } from "../../kernels/kernel.ts";
import * as kernels from "../../kernels/mod.ts";
import { matmul } from "../../tensor/products.ts";
import { apply, differentiable, reshape, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";
import { isLocal, type Nearness, oneRank, type Topology } from "./topology.ts";

/** Options of the locality loss. */
export interface LocalityOptions {
  /** Weight mu of the locality loss (the paper names none; our choice). */
  readonly locality: number;
  /** Experts that count as local: those on the token's node, or on its own rank only. */
  readonly localityNear: Nearness;
  /** eta: share of the local distribution spread over far experts (ours; at 0 the loss is infinite). */
  readonly localitySmoothing: number;
}

/** Their declarations, for a router to spread into its own. */
export function localityOptions(): {
  locality: z.ZodDefault<z.ZodNumber>;
  localityNear: z.ZodDefault<z.ZodEnum<{ node: "node"; rank: "rank" }>>;
  localitySmoothing: z.ZodDefault<z.ZodNumber>;
} {
  return {
    locality: z.number().min(0).default(0.01)
      .describe("weight mu of the locality loss (the paper names none; our choice)"),
    localityNear: z.enum(["node", "rank"]).default("node")
      .describe("experts that count as local: those on the token's node, or on its own rank only"),
    localitySmoothing: z.number().gt(0).lt(1).default(0.01)
      .describe(
        "eta: share of the local distribution spread over far experts (ours; at 0 the loss is infinite)",
      ),
  };
}

/** What {@linkcode localityLoss} works on. */
export interface LocalityTerms {
  readonly probability_TE: Tensor;
  readonly topology: Topology | undefined;
  readonly near: Nearness;
  readonly smoothing: number;
  readonly real_T?: Tensor | undefined;
  /** mu: multiplies the loss; 1 unless said otherwise. */
  readonly weight?: number;
}

/**
 * mu times the mean over ranks r of KL(D_c || D_l) (LocMoE, equation 6): D_c the mean probability over the tokens of
 * r, D_l even over the experts local to r but for a share eta over the others. The paper gives neither D_l nor how
 * tokens are grouped: this is our reading; probabilities, not counts, because counts have no gradient. A rank for which
 * all or no experts are local has nothing to choose and is left out. Shape [1]; null when every rank is left out.
 */
export function localityLoss(terms: LocalityTerms): Tensor | null {
  const { probability_TE, near, smoothing, real_T, weight = 1 } = terms;
  const [T, E] = probability_TE.shape;
  const topology = terms.topology ?? oneRank(T, E);
  const size_R = new Float64Array(topology.ranks);
  for (const rank of topology.homeRank_T) size_R[rank]++;
  const locals = Array.from(size_R, (_, rank) => localTo(topology, rank, E, near));
  const ranks = [...locals.keys()].filter((rank) =>
    size_R[rank] > 0 && locals[rank].includes(true) && locals[rank].includes(false)
  );
  if (ranks.length === 0) return null;
  const R = ranks.length;
  const { backend } = probability_TE;
  const target = ranks.flatMap((rank) => localDistribution(locals[rank], smoothing));
  const rowOf = new Map(ranks.map((rank, row) => [rank, row]));
  const inside = new Float32Array(R * T);
  topology.homeRank_T.forEach((rank, t) => {
    const row = rowOf.get(rank);
    if (row !== undefined) inside[row * T + t] = 1;
  });
  const { mean_RT, share_R } = real_T
    ? averages(tensor(backend, inside, [R, T]), real_T, weight)
    : allReal(backend, inside, ranks.map((rank) => size_R[rank]), weight);
  const current_RE = matmul(mean_RT, probability_TE);
  const target_RE = tensor(backend, target.map((share) => Math.log(share)), [R, E]);
  const [loss, slope_RE] = apply(kernels.divergence, [stopGradient(current_RE), target_RE, share_R], {});
  return differentiable(loss, [[
    current_RE,
    (gradient) => apply(kernels.binary, [slope_RE, gradient], { op: "multiply" })[0],
  ]]);
}

/** The loss that options ask for, by its name in records; nothing where its weight is 0 or every rank is left out. */
export function localityOf(
  { locality: weight, localityNear: near, localitySmoothing: smoothing }: LocalityOptions,
  routed: Pick<LocalityTerms, "probability_TE" | "topology" | "real_T">,
): { readonly locality?: Tensor } {
  const locality = weight === 0 ? null : localityLoss({ ...routed, near, smoothing, weight });
  return locality ? { locality } : {};
}

function localTo(topology: Topology, rank: number, E: number, near: Nearness): boolean[] {
  return Array.from({ length: E }, (_, expert) => isLocal(topology, rank, expert, near));
}

/** D_l of one rank: 1 - eta shared by local experts, eta by the others. */
export function localDistribution(local: readonly boolean[], smoothing: number): number[] {
  const near = local.filter(Boolean).length;
  return local.map((is) => is ? (1 - smoothing) / near : smoothing / (local.length - near));
}

/** Rows that average over the tokens of a rank, and what each rank counts in the loss. */
interface Averages {
  readonly mean_RT: Tensor;
  readonly share_R: Tensor;
}

function allReal(backend: Backend, inside: Float32Array, sizes: readonly number[], weight: number): Averages {
  const [R, T] = [sizes.length, inside.length / sizes.length];
  const mean = inside.map((own, at) => own / sizes[Math.floor(at / T)]);
  return {
    mean_RT: tensor(backend, mean, [R, T]),
    share_R: tensor(backend, new Float32Array(R).fill(weight / R), [R]),
  };
}

/** Over real tokens only; ranks of padding count nothing. */
function averages(inside_RT: Tensor, real_T: Tensor, weight: number): Averages {
  const op = (name: "multiply" | "divide" | "maximum" | "minimum", a: Tensor, b: Tensor) =>
    apply(kernels.binary, [a, b], { op: name })[0];
  const number = (value: number) => tensor(inside_RT.backend, [value], [1]);
  const one = number(1);
  const real_RT = op("multiply", inside_RT, real_T);
  const [count_R] = apply(kernels.sumLast, [real_RT], {});
  const present_R = op("minimum", count_R, one);
  const [present] = apply(kernels.sumLast, [present_R], {});
  const column = reshape(op("maximum", count_R, one), [inside_RT.shape[0], 1]);
  return {
    mean_RT: op("divide", real_RT, column),
    share_R: op("multiply", op("divide", present_R, op("maximum", present, one)), number(weight)),
  };
}
