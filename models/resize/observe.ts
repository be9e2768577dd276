// What experts do on some tokens: how many each keeps, how much its outputs weigh, and what it gives on average. A copy of the
// model is run whose experts are watched; the model itself is left alone.
import type { AnyExpertPlugin } from "../../experts/registry.ts";
import type { ExpertBank } from "../../experts/expert.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { sqrt, square } from "../../tensor/arithmetic.ts";
import { memory } from "../../tensor/memory.ts";
import { inPlaceOf } from "../../tensor/plugins.ts";
import { random } from "../../tensor/random.ts";
import { sumFirst, sumLast } from "../../tensor/reduce.ts";
import { sliceRows } from "../../tensor/row_blocks.ts";
import { assignmentsOf, groupBy, sortRows, wholeNumbers } from "../../tensor/rows.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Batch, LayerOutput, Model } from "../model.ts";
import type { LayerSpec } from "../spec.ts";
import { copyModel } from "./copy_model.ts";

/** What the experts of one mixture do. */
export interface ObservedExperts {
  /** Place of the layer, from 0. */
  readonly layer: number;
  /** First experts, which every token goes to. */
  readonly shared: number;
  /** Tokens that each expert kept. */
  readonly load: readonly number[];
  /**
   * Mean of weight times L2 norm of the output over the tokens that each kept (REAP, Lasby et al. 2025, equation 9); 0 for an
   * expert that kept none.
   */
  readonly saliency: readonly number[];
  /** Mean output of each expert over all tokens, whoever took them, [E][D] (what HC-SMoE compares experts by). */
  readonly outputs: readonly (readonly number[])[];
}

/** What one expert after another gives for all of T tokens. */
interface Watched {
  /** L2 norms, [E T]. */
  readonly norm: Float32Array;
  /** Sums over tokens, [E][D]. */
  readonly sum: readonly Float32Array[];
}

/**
 * Runs batches through a model, as in evaluation, and tells what its experts do.
 * @param batches Targets are not looked at.
 * @param step Steps of training that the model has behind it.
 * @throws {RangeError} for a router that mixes tokens, and sends none anywhere.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, equalSequences, random } from "@switchyard/moe";
 * import { observeExperts } from "@switchyard/moe/resize";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * using backend = await cpu({ threads: 1 });
 * using model = createModel(specOf(configOf({ "model.layers": 2 }), data), createInit(backend, random(0)));
 * const batch = { tokenId_T: Int32Array.of(1, 2, 3, 4, 5, 6), sequences: equalSequences(2, 3) };
 * const [{ layer, load }] = await observeExperts(model, [batch], { backend, step: 0 });
 * assertEquals([layer, load.reduce((sum, tokens) => sum + tokens)], [1, 6]);
 * ```
 */
export async function observeExperts(
  model: Model,
  batches: readonly Batch[],
  { backend, step }: { readonly backend: Backend; readonly step: number },
): Promise<ObservedExperts[]> {
  const seen = new Map<number, Watched>();
  const layers = model.spec.layers.map((layer, at) =>
    watchedLayer(layer, (watched) => seen.set(at, watched))
  );
  using watchful = copyModel(model, { ...model.spec, layers });
  const counters = new Map<number, ReturnType<typeof countExperts>>();
  for (const { target_T: _, ...batch } of batches) {
    using _scope = memory(backend);
    const output = await watchful.forward(batch, { training: false, step, random: random(0), backend });
    for (const layer of output.layers) {
      const counter = counters.get(layer.layer) ?? countExperts(layer.layer, layer.E, model.spec.D);
      counters.set(layer.layer, counter);
      await counter.add(layer, seen.get(layer.layer)!, model.routers[`blocks.${layer.layer}.router`].called);
    }
  }
  return [...counters.values()].map((counter) => counter.finish());
}

/** The same layer, with experts that tell what they give for all tokens. */
function watchedLayer(layer: LayerSpec, tell: (watched: Watched) => void): LayerSpec {
  const { feedForward } = layer;
  if (feedForward.kind !== "moe") return layer;
  const plugin = feedForward.experts;
  const experts: AnyExpertPlugin = inPlaceOf(plugin, {
    create(dims, options, init) {
      const bank = plugin.create(dims, options, init);
      return inPlaceOf(bank, {
        async apply(given) {
          tell(await outputsOf(bank, given.rows.x_TD, dims.E));
          return await bank.apply(given);
        },
      });
    },
  });
  return { ...layer, feedForward: { ...feedForward, experts } };
}

/** Every token through every expert. */
async function outputsOf(bank: ExpertBank, x_TD: Tensor, E: number): Promise<Watched> {
  const [T] = x_TD.shape;
  const everywhere = groupBy(wholeNumbers(x_TD, [T * E], (at) => at % E), E);
  const assignments = assignmentsOf(wholeNumbers(x_TD, [T * E], (at) => Math.floor(at / E)), T, E);
  const rows = sortRows(x_TD, assignments, everywhere);
  const made = await bank.apply({ rows, offset_O: everywhere.offset_O });
  const sums = Array.from({ length: E }, (_, e) => sumFirst(sliceRows(made, e * T, (e + 1) * T)));
  const [norm, ...sum] = await Promise.all([sqrt(sumLast(square(made))), ...sums].map((each) => each.read()));
  return { norm: norm as Float32Array, sum: sum as Float32Array[] };
}

/** Adds up what one mixture's experts do. */
function countExperts(layer: number, E: number, D: number) {
  const load = new Array<number>(E).fill(0);
  const weighted = new Array<number>(E).fill(0);
  const outputs = Array.from({ length: E }, () => new Array<number>(D).fill(0));
  let tokens = 0;
  let shared = 0;
  return {
    async add({ routing, y_TD }: LayerOutput, { norm, sum }: Watched, called: string) {
      if (routing.mixture) {
        throw new RangeError(`Cannot observe experts of ${called}: it mixes tokens and sends none anywhere`);
      }
      const [T] = y_TD.shape;
      const [token_N, expert_N, weight_N] = await Promise.all(
        [routing.token_N, routing.expert_N, routing.weight_N].map((each) => each.read()),
      );
      expert_N.forEach((expert, n) => {
        if (expert < 0) return;
        load[expert]++;
        weighted[expert] += weight_N[n] * norm[expert * T + token_N[n]];
      });
      sum.forEach((sum_D, e) => sum_D.forEach((value, d) => outputs[e][d] += value));
      tokens += T;
      shared = routing.shared ?? 0;
    },
    finish: (): ObservedExperts => ({
      layer,
      shared,
      load,
      saliency: weighted.map((sum, e) => load[e] === 0 ? 0 : sum / load[e]),
      outputs: outputs.map((sum_D) => sum_D.map((value) => value / tokens)),
    }),
  };
}
