// What a model keeps of a sequence's tokens, layer by layer, so that the next token needs no pass over them: queries, keys
// and values of attention, turned by their positions, and what routers were shown and decided.
import type { RoutedPast } from "../moe/past.ts";
import { type GrowingRows, growingRows } from "../tensor/growing_rows.ts";

/** What one layer keeps. */
export interface LayerCache {
  /** Queries, keys and values side by side, f32 [tokens, (H + 2 G) W]. */
  readonly qkv: GrowingRows;
  /** What its router was shown and decided. */
  readonly routed: RoutedPast;
}

/** What a model keeps of one sequence. Close it when done. */
export interface TokenCache extends Disposable {
  /** The tokens it holds, in order. */
  readonly tokenId: Int32Array;
  /** What each layer keeps of them. */
  readonly layers: readonly LayerCache[];
  /** Takes note that all layers hold these tokens now. */
  hold(tokenId: Int32Array): void;
  /** Lets go of all tokens but the first `count`. */
  cut(count: number): void;
  /** Frees everything; it can be used again. */
  clear(): void;
}

/**
 * An empty cache for a model of so many layers.
 * @example
 * ```ts
 * import { cpu, createCache, createInit, createModel, memory, random } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const backend = await cpu({ threads: 1 });
 * const model = createModel(specOf(configOf(), data), createInit(backend, random(0)));
 * using cache = createCache(model.spec.layers.length);
 * {
 *   using _scope = memory(backend);
 *   const step = { step: 0, random: random(0) };
 *   await model.next(Int32Array.of(1, 2, 3), cache, step);
 *   const logits_1V = await model.next(Int32Array.of(1, 2, 3, 4), cache, step); // computes token 4 alone
 *   assertEquals([logits_1V.shape, cache.tokenId], [[1, 64], Int32Array.of(1, 2, 3, 4)]);
 * }
 * cache.clear();
 * model.free();
 * backend.close();
 * ```
 */
export function createCache(layers: number): TokenCache {
  let held = new Int32Array();
  const cache: TokenCache = {
    get tokenId() {
      return held;
    },
    layers: Array.from({ length: layers }, () => ({
      qkv: growingRows(),
      routed: { rows: growingRows(), decided: null },
    })),
    hold(tokenId) {
      held = tokenId.slice();
    },
    cut(count) {
      held = held.slice(0, count);
      for (const { qkv, routed } of cache.layers) {
        qkv.cut(count);
        routed.rows.cut(count);
      }
    },
    clear: () => cache.cut(0),
    [Symbol.dispose]: () => cache.cut(0),
  };
  return cache;
}
