// Controls: what a comparison of routers is held against. Each is a function from spec to spec, so that a control trains
// on the same examples, in the same order, from the same weights outside the experts.
import type { AnyExpertPlugin } from "../experts/expert.ts";
import { forcedBalance } from "../routers/forced_balance.ts";
import { maskExperts } from "../routers/parts/capacity.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { tokenChoice } from "../routers/parts/scoring.ts";
import { tokenIdsOf } from "../routers/parts/token_ids.ts";
import { take } from "../tensor/rows.ts";
import { reshape, tensor } from "../tensor/tensor.ts";
import type { LayerSpec, ModelSpec, MoeSpec } from "./spec.ts";

/** Controls by name. */
export const controls = [
  "no experts",
  "random routing",
  "dense, equal FLOPs",
  "dense, equal parameters",
  "best known routing",
] as const;

/** Name of a control. */
export type ControlName = typeof controls[number];

/** Each control in one sentence. */
export const controlAbout: Readonly<Record<ControlName, string>> = {
  "no experts": "layers without their experts: the loss that experts are worth is counted from here",
  "random routing": "each token to an expert drawn anew in every step",
  "dense, equal FLOPs": "one expert that every token passes through, as wide as one of the experts",
  "dense, equal parameters": "one expert that every token passes through, as wide as all experts together",
  "best known routing": "each token to the expert of its group in the task's best known routing",
};

/**
 * The spec as a control has it, at one expert a token whatever the router's K: a comparison has one set of controls for
 * routers of every K.
 * @param group_V Group of each input row in the best known routing.
 * @throws {RangeError} for `best known routing` where a task has none.
 * @example
 * ```ts
 * import { controlled, flopOf, moeLayers } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf(), data);
 * const dense = controlled(spec, "dense, equal FLOPs", null);
 * assertEquals(moeLayers(dense).map(({ moe: { E, F } }) => [E, F]), [[1, 256], [1, 256]]);
 * assertEquals(flopOf(dense), flopOf(spec));
 * assertEquals(moeLayers(controlled(spec, "no experts", null)), []);
 * ```
 */
export function controlled(spec: ModelSpec, control: ControlName, group_V: Int32Array | null): ModelSpec {
  if (control === "best known routing" && !group_V) {
    throw new RangeError(
      `Cannot use control "best known routing": the task has none; there are ${
        controls.slice(0, -1).map((name) => `"${name}"`).join(", ")
      }`,
    );
  }
  const change = (layer: LayerSpec): LayerSpec => {
    const { feedForward } = layer;
    if (feedForward.kind !== "moe") return layer;
    if (control === "no experts") return { ...layer, feedForward: { kind: "none" } };
    return { ...layer, feedForward: replaced(feedForward, spec.D, control, group_V) };
  };
  return { ...spec, layers: spec.layers.map(change) };
}

function replaced(moe: MoeSpec, D: number, control: ControlName, group_V: Int32Array | null): MoeSpec {
  if (control === "best known routing") return { ...moe, router: knownRouting(group_V!), routerOptions: {} };
  const mode = control === "random routing" ? "random" : "even";
  const routerOptions = forcedBalance.options.parse({ k: 1, mode });
  const same = { ...moe, router: forcedBalance as AnyRouterPlugin, routerOptions };
  if (control === "random routing") return same;
  const equalFlop = control === "dense, equal FLOPs";
  const { experts, expertOptions, E, F } = moe;
  const stand = experts.dense?.(expertOptions);
  if (!stand) return { ...same, E: 1, F: equalFlop ? F : E * F };
  const [kind, options] = stand;
  const cost = (plugin: AnyExpertPlugin, given: unknown, count: number) => {
    const sizes = { D, F, E: count };
    if (equalFlop) return plugin.flopPerToken(sizes, given);
    return count * plugin.parameters(sizes, given) + (plugin.sharedParameters?.(sizes, given) ?? 0);
  };
  const own = cost(kind, options, 1);
  const width = own > 0 ? Math.max(1, Math.round(F * cost(experts, expertOptions, E) / own)) : F;
  return { ...same, experts: kind, expertOptions: options, E: 1, F: width };
}

/** A router that sends each token to the expert of its group, with weight 1. */
function knownRouting(group_V: Int32Array): AnyRouterPlugin {
  return {
    ...forcedBalance,
    name: "best-known-routing",
    about: controlAbout["best known routing"],
    traits: { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "none" },
    expertsPerToken: () => 1,
    create: ({ E }) => ({
      params: {},
      route(x_TD, step) {
        const [T] = x_TD.shape;
        const expert_V = tensor(x_TD.backend, group_V.map((group) => group % E), [group_V.length]);
        const wanted_TK = maskExperts(
          reshape(take(expert_V, tokenIdsOf(step, "best-known-routing")), [T, 1]),
          step.real_T,
        );
        const weight_TK = tensor(x_TD.backend, new Float32Array(T).fill(1), [T, 1]);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK }, { losses: {} });
      },
    }),
  };
}
