// One MoE block, forward and backward, under a load that is given: gradients reach tokens, weights and experts, as they
// do in training, and no router's own work is in it.
import { feedForward } from "../experts/feed_forward.ts";
import type { Precision } from "../experts/parts/precision.ts";
import { type Backend, sizeOf } from "../kernels/kernel.ts";
import { createMoeLayer } from "../moe/layer.ts";
import type { Router } from "../routers/router.ts";
import { square } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import type { Init } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { meanAll, scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { expertsOf, type Load } from "./loads.ts";
import { verified } from "./verify.ts";

/** Sizes of a block: tokens, width, hidden units of an expert, experts, choices. */
export interface LayerSize {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
  readonly K: number;
}

/** The block the project's speed is held to. */
export const referenceLayer: LayerSize = { T: 2048, D: 256, F: 1024, E: 8, K: 2 };

/** Tokens of a block that is checked, at most: references are plain loops. */
const CHECKED_TOKENS = 256;
/** Multiply-adds of one of its products, at most. */
const CHECKED_PRODUCT = 2 ** 27;

/** The same block with so few tokens that it is checked in about a second. */
export function checkedSize({ T, D, F, E, K }: LayerSize): LayerSize {
  const tokens = Math.max(1, Math.floor(CHECKED_PRODUCT / (D * F * K)));
  return { T: Math.min(T, CHECKED_TOKENS, tokens), D, F, E, K };
}

/** As shown: `T=2048 D=256 F=1024 E=8 K=2`. */
export function layerText(size: LayerSize): string {
  return Object.entries(size).map(([name, value]) => `${name}=${value}`).join(" ");
}

/** A block to time. */
export interface LayerSubject extends Disposable {
  /** Floating-point operations of the experts' products in `run`: one pass forward, two back. */
  readonly flop: number;
  /** One forward and backward pass; everything made is freed. */
  run(): Promise<void>;
  /** The mean square of what the block gives, which `run` differentiates. */
  loss(): Promise<number>;
}

/** Values that look random and cost next to nothing to draw: a short list again and again. */
export function repeatedNormal(count: number, deviation = 1): Float32Array {
  const list = random(0).split("repeated").normal(Math.min(count, 65521)).map((value) => value * deviation);
  const values = new Float32Array(count);
  for (let at = 0; at < count; at += list.length) values.set(list.subarray(0, count - at), at);
  return values;
}

/** Expert weights [E, in, out] at the usual scale: here their speed counts, not their meaning. */
function quickInit(backend: Backend): Init {
  return {
    backend,
    random: random(0),
    parameter: (_, shape) =>
      parameter(backend, repeatedNormal(sizeOf(shape), 1 / Math.sqrt(shape[1])), shape),
    part: () => quickInit(backend),
  };
}

/** Makes a block with weights and tokens of its own on a backend. */
export function createLayerSubject(
  backend: Backend,
  size: LayerSize,
  load: Pick<Load, "skew" | "emptyExpert">,
  precision: Precision = "full",
): LayerSubject {
  const { T, D, F, E, K } = size;
  const N = T * K;
  const stream = random(0).split("layer");
  const kept = memory(backend);
  const whole = (at: (n: number) => number) =>
    kept.keep(tensor(backend, Int32Array.from({ length: N }, (_, n) => at(n)), [N]));
  const experts = expertsOf({ T, E, K, ...load });
  const expert_N = whole((n) => experts[n]);
  const token_N = whole((n) => Math.floor(n / K));
  const tokenId_T = kept.keep(tensor(backend, new Int32Array(T), [T]));
  kept[Symbol.dispose]();
  const weight_N = parameter(backend, new Float32Array(N).fill(1 / K), [N]);
  const x_TD = parameter(backend, repeatedNormal(T * D), [T, D]);
  const router: Router = {
    params: {},
    route: () => ({ token_N, expert_N, wanted_N: expert_N, weight_N, choices: K, losses: {} }),
  };
  const bank = feedForward.create(
    { D, F, E },
    feedForward.options.parse({ precision }),
    quickInit(backend),
  );
  const layer = createMoeLayer({ D, E, router, experts: bank });
  const params = [x_TD, weight_N, ...Object.values(bank.params)];
  const step = { training: true, step: 0, random: stream, tokenId_T, sequences: equalSequences(1, T) };
  const held: Tensor[] = [expert_N, token_N, tokenId_T, ...params];
  return {
    flop: 3 * N * feedForward.flopPerToken({ D, F, E }, feedForward.options.parse({})),
    async run() {
      using _scope = memory(backend);
      const { y_TD } = await layer.apply(x_TD, step);
      await gradients(meanAll(square(y_TD)), params);
    },
    async loss() {
      using _scope = memory(backend);
      return await scalar(meanAll(square((await layer.apply(x_TD, step)).y_TD)));
    },
    [Symbol.dispose]() {
      for (const { buffer } of held) backend.free(buffer);
    },
  };
}

/** Checks every kernel of a block, forward and backward, on few tokens. @returns Names of the kernels. */
export function checkLayer(
  backend: Backend,
  size: LayerSize,
  load: Pick<Load, "skew" | "emptyExpert">,
): Promise<string[]> {
  return verified(backend, async (watching) => {
    using few = createLayerSubject(watching, checkedSize(size), load);
    await few.run();
  });
}
