// Equal cost for routers of different K, as a function from spec to spec that experiments call: a model never assumes it.
// K choices cut the same hidden units into K times as many experts, each K times narrower (fine-grained experts,
// DeepSeekMoE section 3.1), so active FLOPs and weights stay what they were.
import type { LayerSpec, ModelSpec } from "./spec.ts";
import { choicesOf } from "./spec.ts";

/**
 * The spec with each mixture's experts cut for its router's number of choices: E K experts of width F / K.
 * @throws {RangeError} when K choices do not divide the width of an expert, or make no whole number of experts.
 * @example
 * ```ts
 * import { activeFlop, equalCost, flopOf, moeLayers } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const specFor = (router: string) => specOf(configOf({ "router.name": router }), data);
 * const [one, two] = [specFor("switch"), equalCost(specFor("gshard"))];
 * assertEquals(moeLayers(two).map(({ moe: { E, F } }) => [E, F]), [[16, 128], [16, 128]]);
 * assertEquals(activeFlop(flopOf(two)), activeFlop(flopOf(one)));
 * ```
 */
export function equalCost(spec: ModelSpec): ModelSpec {
  return { ...spec, layers: spec.layers.map(cut) };
}

function cut(layer: LayerSpec): LayerSpec {
  const { feedForward } = layer;
  if (feedForward.kind !== "moe") return layer;
  const K = choicesOf(feedForward);
  const { E, F, router } = feedForward;
  if (F % K !== 0) {
    throw new RangeError(
      `Cannot compare router "${router.name}" at equal cost: its ${K} choices do not divide ${F} hidden units`,
    );
  }
  if (!Number.isInteger(E * K) || !Number.isInteger(F / K)) {
    throw new RangeError(
      `Cannot compare router "${router.name}" at equal cost: its ${K} choices make ${
        E * K
      } experts of ${E}, each ${F / K} units wide; choose another number of experts or choices`,
    );
  }
  return { ...layer, feedForward: { ...feedForward, E: E * K, F: F / K } };
}
