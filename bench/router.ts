// A router alone: what it decides, and the gradient that reaches its parameters, without any expert's work.
import type { Backend } from "../kernels/kernel.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Routing } from "../routers/router.ts";
import { add } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { carriesGradient, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { repeatedNormal } from "./layer.ts";

/** Tokens, width, experts for each choice, and tokens of a sequence. */
export interface RouterDims {
  readonly T: number;
  readonly D: number;
  readonly experts: number;
  readonly length: number;
}

/** A router to time. */
export interface RouterSubject extends Disposable {
  run(): Promise<void>;
}

const VOCABULARY = 4096;

/** Makes a router as a model of K times `experts` experts would. */
export function createRouterSubject(
  backend: Backend,
  plugin: AnyRouterPlugin,
  { T, D, experts, length }: RouterDims,
): RouterSubject {
  const options = parseOptions(plugin);
  const E = experts * plugin.expertsPerToken(options);
  const stream = random(0).split("routing");
  const tokenCount_V = new Int32Array(VOCABULARY).fill(1);
  const router = plugin.create(
    { D, E, V: VOCABULARY, tokenCount_V, length },
    options,
    createInit(backend, stream),
  );
  const kept = memory(backend);
  const tokens = Int32Array.from(stream.uniform(T), (u) => Math.floor(u * VOCABULARY));
  const tokenId_T = kept.keep(tensor(backend, tokens, [T]));
  kept[Symbol.dispose]();
  const x_TD = parameter(backend, repeatedNormal(T * D), [T, D]);
  const params = [x_TD, ...Object.values(router.params)];
  const step = {
    training: true,
    step: 0,
    random: stream,
    tokenId_T,
    sequences: equalSequences(T / length, length),
  };
  return {
    async run() {
      using _scope = memory(backend);
      const ends = endsOf(await router.route(x_TD, step)).filter(carriesGradient);
      if (ends.length > 0) await gradients(ends.map(sumAll).reduce(add), params);
    },
    [Symbol.dispose]() {
      for (const { buffer } of [tokenId_T, ...params]) backend.free(buffer);
    },
  };
}

/** All that training differentiates of a routing. */
function endsOf({ weight_N, losses, estimator, mixture }: Routing): Tensor[] {
  return [
    ...(mixture?.parts.flatMap((part) => [part.dispatch_BML, part.combine_BLM]) ?? [weight_N]),
    ...Object.values(losses),
    ...(estimator ? [estimator.logProbability_T] : []),
  ];
}
