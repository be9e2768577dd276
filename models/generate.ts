// Text, token by token: each is drawn from the scores behind those before it. Routers that are causal get a cache, so that a
// token costs a pass over itself; for others all tokens are computed again with each new one.
import { traitsOf } from "../routers/registry.ts";
import { fork } from "../tensor/context.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { createCache } from "./cache.ts";
import { checkDrawing, type DrawnToken, drawToken } from "./draw.ts";
import type { Model } from "./model.ts";
import { type ModelSpec, moeLayers } from "./spec.ts";

/** What {@linkcode generate} may be told. */
export interface GenerateOptions {
  /** Tokens to generate; 64 when left out. */
  readonly maxTokens?: number;
  /** 0, the default, takes the most probable token each time; see {@linkcode Drawing}. */
  readonly temperature?: number;
  /** Share of probability that tokens are drawn from; all of it when left out. */
  readonly topP?: number;
  /** Seed of the draws; 0 when left out. */
  readonly seed?: number;
  /** Steps of training the model has behind it, for routers that go by them; 0 when left out. */
  readonly step?: number;
  /** False computes all tokens again with each new one. True, the default, does so where a router is not causal. */
  readonly cache?: boolean;
  /** Told each token when it is drawn. */
  onToken?(token: DrawnToken): void;
}

/** What was generated. */
export interface Generated {
  /** The new tokens. */
  readonly tokenId: Int32Array;
  /** Why all tokens were computed again with each new one, in a sentence; null where they were not. */
  readonly withoutCache: string | null;
}

/**
 * Goes on from a prompt. The same model, prompt and options give the same tokens, with a cache and without.
 * @param prompt Token ids; one or more.
 * @throws {RangeError} for an empty prompt, ids outside the vocabulary, options out of range, or a model that predicts no
 * tokens; as a router does that refuses so many tokens.
 * @example
 * ```ts
 * import { cpu, generate } from "@switchyard/moe";
 * import { configOf, createTrainer, decodeText, encodeText, parsePlainText } from "@switchyard/moe/training";
 * import { prepare, textData } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const data = await textData(prepare(parsePlainText("A cat sat. A dog ran. ".repeat(90), "pets"), { vocabulary: 20 }));
 * const small = { "model.width": 16, "model.layers": 2, "train.length": 8, "train.learningRate": 0.02 };
 * const backend = await cpu({ threads: 1 });
 * using trainer = await createTrainer(configOf({ ...small, "train.steps": 60 }), { backend, data });
 * while (trainer.steps < 60) await trainer.step();
 * const vocabulary = data.vocabulary!;
 * const prompt = encodeText("A dog", vocabulary);
 * const { tokenId } = await generate(trainer.model, prompt, { maxTokens: 2 });
 * const decoding = decodeText(vocabulary);
 * assertEquals([...prompt, ...tokenId].map((id) => decoding.next(id)).join(""), "a dog ran.");
 * trainer.close();
 * backend.close();
 * ```
 */
export async function generate(
  model: Model,
  prompt: Int32Array,
  options: GenerateOptions = {},
): Promise<Generated> {
  const { maxTokens = 64, temperature = 0, topP = 1, seed = 0, step = 0, onToken } = options;
  checkDrawing({ temperature, topP });
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new RangeError(`Cannot generate ${maxTokens} tokens: choose a whole number from 0`);
  }
  const { input, target } = model.spec;
  if (input.kind !== "tokens" || target.kind !== "tokens") {
    throw new RangeError("Cannot generate tokens: the model reads or predicts vectors, not tokens");
  }
  const withoutCache = options.cache === false ? "A cache was not wanted." : whyNotCached(model.spec);
  const draws = random(seed).split("generate");
  // Generations at once never see each other's memory scopes.
  const backend = fork(model.backend);
  using cache = createCache(model.spec.layers.length);
  const all = new Int32Array(prompt.length + maxTokens);
  all.set(prompt);
  for (let at = prompt.length; at < all.length; at++) {
    using _scope = memory(backend);
    if (withoutCache !== null) cache.clear();
    const logits_1V = await model.next(all.subarray(0, at), cache, { step, random: random(0), backend });
    const [uniform] = draws.split(at - prompt.length).uniform(1);
    const token = drawToken(await logits_1V.read(), { temperature, topP }, uniform);
    all[at] = token.tokenId;
    onToken?.(token);
  }
  return { tokenId: all.slice(prompt.length), withoutCache };
}

/**
 * Why a model's tokens are all computed again with each new one, in a sentence; null where a cache serves.
 * @example
 * ```ts
 * import { whyNotCached } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * assertEquals(whyNotCached(specOf(configOf(), data)), null);
 * assertEquals(
 *   whyNotCached(specOf(configOf({ "router.name": "gshard" }), data)),
 *   'All tokens are computed again with each new one: router "gshard" is not causal, so a new token may change what ' +
 *     "earlier ones get.",
 * );
 * ```
 */
export function whyNotCached(spec: ModelSpec): string | null {
  const names = moeLayers(spec).filter(({ moe: { router, routerOptions } }) =>
    !traitsOf(router, routerOptions).causal
  ).map(({ moe: { router } }) => `"${router.name}"`);
  if (names.length === 0) return null;
  const unique = [...new Set(names)];
  const are = unique.length === 1 ? `router ${unique[0]} is` : `routers ${unique.join(", ")} are`;
  return `All tokens are computed again with each new one: ${are} not causal, so a new token may change what earlier ` +
    "ones get.";
}
