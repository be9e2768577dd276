// The MoE layer, where the parts meet: the router decides, rows are sorted by expert, experts compute on ragged
// blocks, and each token sums what it is owed. It never asks which router or which experts it holds.
import type { ExpertBank } from "../experts/expert.ts";
import type { Router, RouteStep, Routing } from "../routers/router.ts";
import type { Params } from "../tensor/init.ts";
import { combineRows, dispatchRows, groupBy, type Groups, scaleGradient, take } from "../tensor/rows.ts";
import { stage } from "../tensor/stage.ts";
import { dims, type Tensor } from "../tensor/tensor.ts";

/** What a layer computed and how it routed. */
export interface MoeOutput {
  /** f32 [T, D]: sum over kept assignments of weight times expert output; 0 for a token nobody kept. */
  readonly y_TD: Tensor;
  readonly routing: Routing;
}

/** Parameters by part. */
export interface MoeLayer {
  readonly D: number;
  readonly E: number;
  readonly params: { readonly router: Params; readonly experts: Params };
  /** @param x_TD f32 [T, D]. The residual is the caller's. */
  apply(x_TD: Tensor, step: RouteStep): Promise<MoeOutput>;
}

/**
 * Puts a router and a bank of experts together.
 * Its `apply` refuses, with RangeError, shapes that do not fit and tokens that are no whole number of sequences.
 * @example
 * ```ts
 * import { cpu, createInit, createMoeLayer, feedForward, parseOptions, random } from "@switchyard/moe";
 * import { switchRouter, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [T, D, F, E] = [6, 8, 16, 4];
 * const layer = createMoeLayer({
 *   D,
 *   E,
 *   router: switchRouter.create({ D, E, V: 10 }, parseOptions(switchRouter), init.part("router")),
 *   experts: feedForward.create({ D, F, E }, feedForward.options.parse({}), init.part("experts")),
 * });
 * const { y_TD } = await layer.apply(tensor(backend, random(1).normal(T * D), [T, D]), {
 *   training: false,
 *   step: 0,
 *   random: random(2),
 *   tokenId_T: tensor(backend, Int32Array.of(1, 2, 3, 4, 5, 6), [T]),
 *   length: T,
 * });
 * assertEquals(y_TD.shape, [6, 8]);
 * backend.close();
 * ```
 */
export function createMoeLayer(
  parts: { readonly D: number; readonly E: number; readonly router: Router; readonly experts: ExpertBank },
): MoeLayer {
  const { D, E, router, experts } = parts;
  return {
    D,
    E,
    params: { router: router.params, experts: experts.params },
    async apply(x_TD, step) {
      const { T } = dims(x_TD, "TD", { D });
      dims(step.tokenId_T, "T", { T });
      if (T % step.length !== 0) {
        throw new RangeError(
          `Cannot apply the MoE layer: ${T} tokens are no whole number of sequences of ${step.length}`,
        );
      }
      const routing = await stage("route", () => router.route(x_TD, step));
      const { token_N, expert_N, weight_N, gradientWeight_N } = routing;
      const { N } = dims(token_N, "N");
      dims(expert_N, "N", { N });
      dims(weight_N, "N", { N });
      if (gradientWeight_N) dims(gradientWeight_N, "N", { N });
      const sorted = stage("dispatch", () => sortRows(x_TD, routing, E));
      const rows_ND = stage(
        "experts",
        () =>
          experts.apply({
            x_ND: sorted.x_ND,
            offset_O: sorted.byExpert.offset_O,
            expert_N: sorted.expertOfRow_N,
          }),
      );
      const y_TD = stage("dispatch", () => {
        const weighted_ND = gradientWeight_N
          ? scaleGradient(rows_ND, take(gradientWeight_N, sorted.byExpert.order_N))
          : rows_ND;
        return combineRows(weighted_ND, weight_N, token_N, sorted.byExpert, sorted.byToken);
      });
      return { y_TD, routing };
    },
  };
}

interface SortedRows {
  readonly x_ND: Tensor;
  readonly byExpert: Groups;
  readonly byToken: Groups;
  readonly expertOfRow_N: Tensor;
}

function sortRows(x_TD: Tensor, { token_N, expert_N }: Routing, E: number): SortedRows {
  const byExpert = groupBy(expert_N, E);
  const byToken = groupBy(token_N, x_TD.shape[0]);
  return {
    x_ND: dispatchRows(x_TD, token_N, byExpert, byToken),
    byExpert,
    byToken,
    expertOfRow_N: take(expert_N, byExpert.order_N),
  };
}
