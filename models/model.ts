// The model around the layer under study, made from its spec: an embedding or frozen vectors, layers, and scores. All
// initial weights but the routers' are the same for every router: streams go by name, and expert weights are drawn unit
// by unit.
import { type Backend, type HostArray, sizeOf } from "../kernels/kernel.ts";
import type { Router, Routing } from "../routers/router.ts";
import { layOut, type Topology } from "../routers/parts/topology.ts";
import { add, affine } from "../tensor/arithmetic.ts";
import { checkpointed, type Checkpointing } from "../tensor/checkpointing.ts";
import { type Init, normal } from "../tensor/init.ts";
import { releaseHeld } from "../tensor/memory.ts";
import type { Random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { stage } from "../tensor/stage.ts";
import { type Parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { type Batch, checkBatch, type Targets, targetShape, targetsOf } from "./batch.ts";
import { type Block, type BlockOutput, createBlock } from "./block.ts";
import type { TokenCache } from "./cache.ts";
import { type FlopCounts, flopOf, type WeightCounts, weightsOf } from "./cost.ts";
import { createInput } from "./input.ts";
import { scoreNext } from "./next_token.ts";
import { createOutput } from "./output.ts";
import type { ModelSpec } from "./spec.ts";

export type { Batch, Targets } from "./batch.ts";

/** Where in training a pass is, and where it runs. */
export interface PassStep {
  /** Whether the pass trains: routers then draw noise, and keep what a backward pass needs. */
  readonly training: boolean;
  /** Steps taken, from 0. */
  readonly step: number;
  /** A stream of this step. */
  readonly random: Random;
  /** Handle that the pass belongs to; the model's own when left out. */
  readonly backend?: Backend;
  /** Whether scores are wanted beside a loss, which then takes the memory of both. */
  readonly scores?: boolean;
}

/** What one pass gives. */
export interface ModelOutput {
  /** Mean loss of tokens that have a target, nats or squared error, shape [1]; 0 where none has one. Absent without targets. */
  readonly loss?: Tensor;
  /** Loss of each token, f32 [T]; 0 where there is no target. */
  readonly loss_T?: Tensor;
  /** Tokens that the mean is over. */
  readonly targets?: Targets;
  /** Scores of each token, f32 [T, V or classes]; with targets only where asked for, since the loss uses them up. */
  readonly logits_TV?: Tensor;
  /** Router losses by name, summed over layers, already weighted. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** What each mixture did, in order of layers. */
  readonly layers: readonly LayerOutput[];
}

/** What one mixture did. */
export interface LayerOutput {
  /** Place of the layer, counted from 0. */
  readonly layer: number;
  /** Experts. */
  readonly E: number;
  /** What the layer's router decided. */
  readonly routing: Routing;
  /** Where tokens came from and where experts lived. */
  readonly topology: Topology;
  /** What the mixture's output was added to, and the sum, f32 [T, D]. */
  readonly residual_TD: Tensor | null;
  /** Output of the mixture, the residual included, f32 [T, D]. */
  readonly y_TD: Tensor;
}

/** A router at work in a model. */
export interface PlacedRouter {
  /** Place of its layer, counted from 0. */
  readonly layer: number;
  /** The router. */
  readonly router: Router;
  /** What errors call it: `router "switch"`. */
  readonly called: string;
  /** Paths of its parameters among the model's. */
  readonly params: readonly string[];
}

/** A model. Free it when done with its parameters. */
export interface Model extends Disposable {
  /** What it was made from. */
  readonly spec: ModelSpec;
  /** Handle that its parameters were made on. */
  readonly backend: Backend;
  /** How many weights it has, by part. */
  readonly weights: WeightCounts;
  /** Forward FLOPs of a token by part, the routers' own included. */
  readonly flop: FlopCounts;
  /** All parameters by path: `blocks.1.router.gate`. */
  readonly params: Readonly<Record<string, Parameter>>;
  /** Routers by path: `blocks.1.router`. */
  readonly routers: Readonly<Record<string, PlacedRouter>>;
  /** Paths of the routers' own parameters. */
  readonly routerParams: readonly string[];
  /**
   * One pass over whole sequences. Refuses, with RangeError, ids and targets out of range, and arrays that do not fit the
   * sequences.
   */
  forward(batch: Batch, step: PassStep): Promise<ModelOutput>;
  /**
   * Scores of what follows some tokens, f32 [1, V], as one pass over all of them in evaluation gives; a cache keeps what
   * layers made of them, and tokens that it holds are not computed again ({@linkcode createCache}). Refuses, with
   * RangeError, no tokens and ids out of range.
   */
  next(tokenId: Int32Array, cache: TokenCache, step: Omit<PassStep, "training" | "scores">): Promise<Tensor>;
  /** Frees all parameters and frozen vectors, and what experts hold besides; a second time does nothing. */
  free(): void;
}

/** What does not change a model's results. */
export interface ModelOptions {
  /**
   * What becomes of a layer's activations until the backward pass; `none` keeps them. Passes that give any up need an open
   * memory scope; those that do not train recompute what is read after all.
   */
  readonly checkpointActivations?: Checkpointing;
}

/**
 * Makes a model with fresh weights from `init`.
 * @throws {RangeError} for a precision that the backend cannot store, or options that a router or its experts refuse;
 * nothing stays on the backend then.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, equalSequences, memory, random } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.layers": 2 }), data);
 * using backend = await cpu({ threads: 1 });
 * using model = createModel(spec, createInit(backend, random(0)));
 * assertEquals(model.routers["blocks.1.router"].params, ["blocks.1.router.gate"]);
 * {
 *   using _scope = memory(backend);
 *   const tokenId_T = Int32Array.of(1, 2, 3, 4, 5, 6);
 *   const step = { training: false, step: 0, random: random(1) };
 *   const { logits_TV, layers } = await model.forward({ tokenId_T, sequences: equalSequences(2, 3) }, step);
 *   assertEquals([logits_TV!.shape, layers.length], [[6, 64], 1]);
 * }
 * ```
 */
export function createModel(spec: ModelSpec, init: Init, options: ModelOptions = {}): Model {
  const held: Parameter[] = [];
  // Experts free these with their banks, which there are none of when making them fails.
  const words: Tensor[] = [];
  try {
    return assemble(spec, noting(init, held, words), held, options);
  } catch (error) {
    releaseHeld([...held, ...words]);
    throw error;
  }
}

/** An init that enters in `held` what it makes, and in `words` the matrices in fewer bits that it brings. */
function noting(init: Init, held: Parameter[], words: Tensor[]): Init {
  return {
    ...init,
    parameter(...given) {
      const made = init.parameter(...given);
      held.push(made);
      return made;
    },
    quantised(...asked) {
      const found = init.quantised?.(...asked) ?? null;
      if (found) words.push(found.words);
      return found;
    },
    part: (name) => noting(init.part(name), held, words),
  };
}

function assemble(
  spec: ModelSpec,
  init: Init,
  held: Parameter[],
  { checkpointActivations = "none" }: ModelOptions,
): Model {
  const { D, input } = spec;
  const params: Record<string, Parameter> = {};
  const table_VD = input.kind === "tokens"
    ? params.embedding = init.parameter("embedding", [input.V, D], normal(1 / Math.sqrt(D)))
    : null;
  const output = createOutput(spec, table_VD, params, held, init);
  const read = createInput(spec, table_VD, held, init);
  const { blocks, routers } = createBlocks(spec, params, init);
  const routerParams = Object.values(routers).flatMap((placed) => placed.params);
  const router = routerParams.reduce((sum, name) => sum + sizeOf(params[name].shape), 0);
  const matrices = routerParams.filter((name) => params[name].shape.length > 1)
    .reduce((sum, name) => sum + sizeOf(params[name].shape), 0);
  const counted = weightsOf(spec);
  const free = () => {
    for (const block of blocks) block.free?.();
    releaseHeld([...held, ...Object.values(params)]);
  };
  return {
    spec,
    backend: init.backend,
    weights: { ...counted, router, total: counted.total + router, active: counted.active + router },
    flop: flopOf(spec, matrices),
    params,
    routers,
    routerParams,
    async forward(batch, { training, step, random, backend = init.backend, scores = false }) {
      checkBatch(batch, spec);
      const { sequences, target_T, real_T } = batch;
      const onDevice = (values_T: HostArray) => tensor(backend, values_T, [sequences.T]);
      const tokenId_T = onDevice(batch.tokenId_T);
      const mask = real_T ? { real_T: onDevice(real_T) } : {};
      let x_TD = stage(backend, "embedding", () => read(tokenId_T));
      const layers: LayerOutput[] = [];
      for (const [at, block] of blocks.entries()) {
        const E = block.moe?.spec.E ?? 1;
        const { ranks, ranksPerNode } = spec;
        const topology = stage(backend, "route", () => layOut({ sequences, E, ranks, ranksPerNode }));
        const stream = random.split(at);
        const routeStep = { training, step, random: stream, tokenId_T, sequences, topology, ...mask };
        const how = training || checkpointActivations === "none" ? checkpointActivations : "recompute";
        const found = await checkpointed(backend, how, ofBlock, () => block.apply(x_TD, routeStep));
        x_TD = found.x_TD;
        if (found.moe) layers.push({ layer: at, E, topology, ...found.moe });
      }
      const losses = sumByName(layers);
      return stage(backend, "output", () => {
        if (!target_T) return { logits_TV: output.scores(x_TD), losses, layers };
        const wanted_T = tensor(backend, target_T, targetShape(target_T, sequences));
        const logits_TV = scores ? output.scores(x_TD) : undefined;
        const loss_T = logits_TV ? output.lossOfScores(logits_TV, wanted_T) : output.loss(x_TD, wanted_T);
        // Tokens without a target lose 0, and are not counted either.
        const targets = targetsOf(target_T, sequences, backend);
        const loss = affine(sumAll(loss_T), 1 / Math.max(1, targets.count), 0);
        return { loss, loss_T, targets, losses, layers, ...(logits_TV ? { logits_TV } : {}) };
      });
    },
    next: (tokenId, cache, { step, random, backend = init.backend }) =>
      scoreNext({ spec, blocks, read, scores: output.scores }, tokenId, cache, { step, random, backend }),
    free,
    [Symbol.dispose]: free,
  };
}

/** All layers, and the routers among them by path; their parameters go into `params`. */
function createBlocks(
  spec: ModelSpec,
  params: Record<string, Parameter>,
  init: Init,
): { readonly blocks: readonly Block[]; readonly routers: Record<string, PlacedRouter> } {
  const enter = (path: string, part: Readonly<Record<string, Parameter>>) => {
    for (const [name, value] of Object.entries(part)) params[`${path}${name}`] = value;
  };
  const residualScale = 1 / Math.sqrt(2 * spec.layers.length);
  const routers: Record<string, PlacedRouter> = {};
  const blocks = spec.layers.map((layer, at): Block => {
    const block = createBlock(layer, spec, residualScale, init.part(`block ${at}`));
    enter(`blocks.${at}.`, block.params);
    if (block.moe) {
      const { layer: { params, router }, spec: { router: { name } } } = block.moe;
      enter(`blocks.${at}.`, params);
      const paths = Object.keys(router.params).map((own) => `blocks.${at}.router.${own}`);
      routers[`blocks.${at}.router`] = { layer: at, router, called: `router "${name}"`, params: paths };
    }
    return block;
  });
  return { blocks, routers };
}

/** What stays of a block: its output, what is less than half as large, and what is read when weights have changed. */
const ofBlock = {
  least: ({ x_TD }: BlockOutput) => sizeOf(x_TD.shape) / 2,
  stays({ x_TD, moe }: BlockOutput): Tensor[] {
    if (!moe) return [x_TD];
    const { token_N, expert_N, wanted_N, probability_TE, estimator, scalars = {} } = moe.routing;
    const ofReports = [probability_TE, estimator?.importance_T].filter((each) => each !== undefined);
    return [x_TD, token_N, expert_N, wanted_N, ...ofReports, ...Object.values(scalars)];
  },
};

function sumByName(layers: readonly { readonly routing: Routing }[]): Record<string, Tensor> {
  const sums: Record<string, Tensor> = {};
  for (const { routing } of layers) {
    for (const [name, loss] of Object.entries(routing.losses)) {
      sums[name] = name in sums ? add(sums[name], loss) : loss;
    }
  }
  return sums;
}
