// The MoE layer, where the parts meet: the router decides, rows are sorted by expert, experts compute on ragged
// blocks, and the weighted outputs of each token are added up. It never asks which router or which experts it holds.
import type { ExpertBank } from "../experts/expert.ts";
import { zeroPadding } from "../routers/parts/padding.ts";
import type { Router, RouteStep, Routing } from "../routers/router.ts";
import type { Params } from "../tensor/init.ts";
import { releaseHeld } from "../tensor/memory.ts";
import { assignmentsOf, combineRows, groupBy, sortRows } from "../tensor/rows.ts";
import { equalSequences, type Sequences } from "../tensor/sequences.ts";
import { stage } from "../tensor/stage.ts";
import { dims, type Parameter, type Tensor } from "../tensor/tensor.ts";
import { asAuthored } from "./author.ts";
import { checkRouting } from "./check_routing.ts";
import { checkMixture, throughSlots } from "./soft.ts";
import { throughTokens } from "./transport.ts";

/** What a layer computed and how it routed. */
export interface MoeOutput {
  /** f32 [T, D]: the residual, if given, plus the sum over kept assignments of weight times expert output. */
  readonly y_TD: Tensor;
  /** What the router decided. */
  readonly routing: Routing;
}

/** What a layer is told besides its input. Only routers that read token ids or sequences need them. */
export interface LayerStep extends Omit<RouteStep, "step" | "sequences"> {
  /** Training step; 0 when left out. */
  readonly step?: number;
  /** Which tokens are of one sequence; all are of one when left out. */
  readonly sequences?: Sequences;
}

/** A router and experts at work. Free it when done with its parameters. */
export interface MoeLayer extends Disposable {
  /** Width of tokens. */
  readonly D: number;
  /** Number of experts. */
  readonly E: number;
  /** The router at work. */
  readonly router: Router;
  /** The experts at work. */
  readonly experts: ExpertBank;
  /** All parameters by path: `router.gate`, `experts.in`. */
  readonly params: Params;
  /**
   * One pass.
   * @param x_TD f32 [T, D].
   * @param residual_TD Added to the result.
   */
  apply(x_TD: Tensor, step: LayerStep, residual_TD?: Tensor): Promise<MoeOutput>;
  /** The first half of a pass over rows whose padding is 0: what the router decides of them, checked. */
  route(x_TD: Tensor, step: LayerStep): Promise<Routing>;
  /** The second half: what experts make of rows, f32 [T, D], under a routing of these T tokens. */
  compute(x_TD: Tensor, routing: Routing, step: LayerStep, residual_TD?: Tensor): Promise<Tensor>;
  /** Frees all parameters, and what experts hold besides; a second time does nothing. */
  free(): void;
}

/**
 * Puts a router and a bank of experts together, and owns their parameters from then on.
 * Its `apply` refuses, with RangeError, shapes that do not fit and sequences of another number of tokens.
 * @example
 * ```ts
 * import { cpu, createInit, createMoeLayer, feedForward, memory, parseOptions } from "@switchyard/moe";
 * import { random, switchRouter, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [T, D, F, E] = [6, 8, 16, 4];
 * using layer = createMoeLayer({
 *   D,
 *   E,
 *   router: switchRouter.create({ D, E }, parseOptions(switchRouter), init.part("router")),
 *   experts: feedForward.create({ D, F, E }, feedForward.options.parse({}), init.part("experts")),
 * });
 * assertEquals(Object.keys(layer.params), ["router.gate", "experts.in", "experts.out"]);
 * using _scope = memory(backend);
 * const x_TD = tensor(backend, random(1).normal(T * D), [T, D]);
 * const { y_TD } = await layer.apply(x_TD, { training: false, random: random(2) });
 * assertEquals(y_TD.shape, [6, 8]);
 * ```
 */
export function createMoeLayer(
  parts: {
    readonly D: number;
    readonly E: number;
    readonly router: Router;
    readonly experts: ExpertBank;
    /** What errors call the router; "its router" when left out. */
    readonly called?: string;
  },
): MoeLayer {
  const { D, E, router, experts, called = "its router" } = parts;
  const params: Record<string, Parameter> = {};
  for (const [name, param] of Object.entries(router.params)) params[`router.${name}`] = param;
  for (const [name, param] of Object.entries({ ...experts.params, ...experts.shared })) {
    params[`experts.${name}`] = param;
  }
  const free = () => {
    experts.free?.();
    releaseHeld(Object.values(params));
  };
  const layer: MoeLayer = {
    D,
    E,
    router,
    experts,
    params,
    free,
    [Symbol.dispose]: free,
    async apply(given_TD, step, residual_TD) {
      const { T } = dims(given_TD, "TD", { D });
      if (residual_TD) dims(residual_TD, "TD", { T, D });
      // Whatever padding holds, no gradient of a router's or an expert's meets it.
      const x_TD = zeroPadding(given_TD, step.real_T);
      const routing = await layer.route(x_TD, step);
      return { y_TD: await layer.compute(x_TD, routing, step, residual_TD), routing };
    },
    async route(x_TD, given) {
      const { T } = dims(x_TD, "TD", { D });
      const { step: number = 0, sequences = equalSequences(1, T) } = given;
      const step: RouteStep = { ...given, step: number, sequences };
      if (step.tokenId_T) dims(step.tokenId_T, "T", { T });
      if (step.sequences.T !== T) {
        throw new RangeError(
          `Cannot apply the MoE layer: ${T} tokens, and its sequences have ${step.sequences.T} in all`,
        );
      }
      checkTopology(step, T, E);
      const routing = await stage(
        x_TD.backend,
        "route",
        () => asAuthored(called, () => router.route(x_TD, step)),
      );
      checkRouting(routing, { T, E, called });
      if (routing.mixture) checkMixture(routing.mixture, T, E);
      return routing;
    },
    compute: (x_TD, routing, step, residual_TD) =>
      throughExperts({ E, experts }, x_TD, routing, step, residual_TD),
  };
  return layer;
}

/** Sorts rows by expert, lets experts compute, and adds up the weighted outputs of each token. */
async function throughExperts(
  { E, experts }: Pick<MoeLayer, "E" | "experts">,
  x_TD: Tensor,
  routing: Routing,
  step: LayerStep,
  residual_TD: Tensor | undefined,
): Promise<Tensor> {
  const { backend } = x_TD;
  const { mixture } = routing;
  const way = stage(
    backend,
    "dispatch",
    () => mixture ? throughSlots(mixture, x_TD, E, residual_TD) : throughTokens(routing, x_TD, residual_TD),
  );
  const { assignments, rows } = stage(backend, "dispatch", () => {
    const assignments = assignmentsOf(way.token_N, way.x_TD.shape[0], way.choices);
    return { assignments, rows: sortRows(way.x_TD, assignments, groupBy(way.expert_N, E)) };
  });
  const { byExpert } = rows;
  const rows_ND = await stage(backend, "experts", () =>
    experts.apply({
      rows,
      offset_O: byExpert.offset_O,
      ...(step.training ? { random: step.random.split("experts") } : {}),
    }));
  return stage(backend, "combine", () => {
    const { weight_N, gradientWeight_N, base_TD } = way;
    const combined = combineRows(rows_ND, weight_N, assignments, byExpert, { gradientWeight_N, base_TD });
    return way.finish(combined);
  });
}

function checkTopology({ topology }: RouteStep, T: number, E: number): void {
  if (!topology) return;
  const { homeRank_T, rankOfExpert_E, nodeOfRank_R, ranks } = topology;
  if (homeRank_T.length !== T || rankOfExpert_E.length !== E || nodeOfRank_R.length !== ranks) {
    throw new RangeError(
      `Cannot apply the MoE layer: its topology is for ${homeRank_T.length} tokens, ${rankOfExpert_E.length} experts ` +
        `and ${nodeOfRank_R.length} ranks, not for ${T} tokens, ${E} experts and ${ranks} ranks`,
    );
  }
}
