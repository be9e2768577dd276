// The language model around the layer under study: decoder-only, RMSNorm, rotary positions, causal attention, an MoE
// layer in every n-th block, output tied to the embedding. All initial weights but the router's are the same for every
// router: streams go by name, and expert weights are drawn unit by unit.
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Router, Routing } from "../routers/router.ts";
import { layOut, type Topology } from "../routers/topology.ts";
import { feedForward } from "../experts/feed_forward.ts";
import type { Precision } from "../experts/precision.ts";
import { type Backend, type HostArray, sizeOf } from "../kernels/kernel.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { add, affine } from "../tensor/arithmetic.ts";
import { constant, type Init, normal } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import type { Random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { embedding } from "../tensor/rows.ts";
import type { Sequences } from "../tensor/sequences.ts";
import { type Parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { rmsNorm } from "../tensor/transformer.ts";
import { vocabularyLoss } from "../tensor/vocabulary_loss.ts";
import { type Block, createBlock } from "./block.ts";
import type { ModelSize } from "./presets.ts";

/** What a model is made of. */
export interface ModelPlan {
  readonly size: ModelSize;
  /** Token ids lie below V. */
  readonly V: number;
  /** How often each token id occurs in training text, [V]. */
  readonly tokenCount_V: Int32Array;
  readonly router: AnyRouterPlugin;
  /** As given; defaults are filled in. */
  readonly routerOptions: unknown;
  /** Of experts; routers and all else compute in f32. Default full. */
  readonly precision?: Precision;
}

/** How a plan is cut into experts, and what a token costs. */
export interface ModelCut {
  /** Experts of a layer. */
  readonly E: number;
  /** Experts a token is sent to. */
  readonly K: number;
  /** Hidden units of one expert. */
  readonly F: number;
  /**
   * Forward floating-point operations of one token at K experts, nothing dropped. Routers' own work is left out: it is
   * what is compared.
   */
  readonly activeFlopPerToken: number;
}

/** Parameters: all, the routers', and those one token passes through. */
export interface ParameterCounts {
  readonly total: number;
  readonly router: number;
  readonly active: number;
}

/** One batch of T tokens, on the host. */
export interface Batch {
  /** Whole numbers from 0, below V. */
  readonly tokenId_T: Int32Array;
  /** Next token of each, or -1 to leave it out of the loss. */
  readonly target_T: Int32Array;
  /** Which tokens are of one sequence: T in all. */
  readonly sequences: Sequences;
  /** 1 = a real token, 0 = padding, which no expert takes; give it no target. Absent = all real. */
  readonly real_T?: Float32Array;
}

/** Tokens that have a target. */
export interface Targets {
  readonly count: number;
  /** 1 for each of them, else 0, f32 [T]. Absent = all have one. */
  readonly mask_T?: Tensor;
}

/** What one pass gives. */
export interface ModelOutput {
  /** Mean cross-entropy over tokens that have a target, nats, shape [1]; 0 where none has one. */
  readonly loss: Tensor;
  /** Cross-entropy of each token, f32 [T]; 0 where there is no target. */
  readonly loss_T: Tensor;
  readonly targets: Targets;
  /** Router losses by name, summed over layers, already weighted. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** How each MoE layer routed, with the block it sits in, counted from 0. */
  readonly layers: readonly { readonly layer: number; readonly routing: Routing }[];
  /** Where tokens came from and where experts lived. */
  readonly topology: Topology;
}

/** The model. */
export interface LanguageModel {
  readonly cut: ModelCut;
  readonly counts: ParameterCounts;
  /** All parameters by path: `blocks.1.router.gate`. */
  readonly params: Readonly<Record<string, Parameter>>;
  /** Paths of the routers' own parameters. */
  readonly routerParams: readonly string[];
  /** The routers at work, by path: `blocks.1.router`. */
  readonly routers: Readonly<Record<string, Router>>;
  /** Tokens of one sequence in training. */
  readonly length: number;
  /**
   * One pass over whole sequences; `step` counts from 0, and `random` is a stream of this step. Refuses, with RangeError,
   * token ids and targets outside the vocabulary, and arrays that do not fit the sequences.
   */
  forward(batch: Batch, step: { training: boolean; step: number; random: Random }): Promise<ModelOutput>;
}

/**
 * Cuts the hidden units of a size into experts so that every router costs the same: K F and E F are the size's.
 * @throws {RangeError} when K choices do not divide the active hidden units, or the router's options are refused.
 * @example
 * ```ts
 * import { cutModel, findSize, gshard, switchRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const plan = { size: findSize("small"), V: 100, routerOptions: {} };
 * const one = cutModel({ ...plan, router: switchRouter });
 * const two = cutModel({ ...plan, router: gshard });
 * assertEquals([one.E, one.K, one.F], [8, 1, 256]);
 * assertEquals([two.E, two.K, two.F], [16, 2, 128]);
 * assertEquals(one.activeFlopPerToken, two.activeFlopPerToken);
 * ```
 */
export function cutModel({ size, V, router, routerOptions }: Omit<ModelPlan, "tokenCount_V">): ModelCut {
  const { width: D, blocks, activeUnits, length } = size;
  const K = router.expertsPerToken(parseOptions(router, routerOptions));
  if (activeUnits % K !== 0) {
    throw new RangeError(
      `Cannot compare router "${router.name}" at equal cost: its ${K} choices do not divide ${activeUnits} hidden units`,
    );
  }
  const E = size.experts * K;
  const F = activeUnits / K;
  const layers = moeBlocks(size).length;
  const projections = blocks * 2 * 4 * D * D;
  const scores = blocks * 2 * D * (length + 1); // causal: (L + 1) / 2 keys a query, two products
  const dense = (blocks - layers) * 4 * D * activeUnits;
  const experts = layers * K * feedForward.flopPerToken({ D, F, E }, feedForward.options.parse({}));
  return { E, K, F, activeFlopPerToken: projections + scores + dense + experts + 2 * V * D };
}

function moeBlocks({ blocks, moeEvery }: ModelSize): number[] {
  return Array.from({ length: blocks }, (_, at) => at).filter((at) => (at + 1) % moeEvery === 0);
}

/**
 * Makes a model with fresh weights from `init`.
 * @throws {RangeError} as {@linkcode cutModel} does, and for a precision that the backend cannot store.
 * @example
 * ```ts
 * import { cpu, createInit, createLanguageModel, equalSequences, findSize, random } from "@switchyard/moe";
 * import { switchRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const [V, T] = [50, 32];
 * const [size, tokenCount_V] = [findSize("tiny"), new Int32Array(V)];
 * const plan = { size, V, tokenCount_V, router: switchRouter, routerOptions: {} };
 * const model = createLanguageModel(plan, createInit(backend, random(0)));
 * const batch = { tokenId_T: new Int32Array(T), target_T: new Int32Array(T), sequences: equalSequences(1, T) };
 * const { loss_T, layers } = await model.forward(batch, { training: false, step: 0, random: random(1) });
 * assertEquals([loss_T.shape, layers[0].layer], [[T], 1]);
 * backend.close();
 * ```
 */
export function createLanguageModel(plan: ModelPlan, init: Init): LanguageModel {
  const { size, V, tokenCount_V } = plan;
  const { width: D, heads, blocks: count, activeUnits, length } = size;
  const options = parseOptions(plan.router, plan.routerOptions);
  const cut = cutModel(plan);
  const { E, F, K } = cut;
  const residualScale = 1 / Math.sqrt(2 * count);
  const params: Record<string, Parameter> = {};
  const routerParams: string[] = [];
  const routers: Record<string, Router> = {};
  const enter = (path: string, part: Readonly<Record<string, Parameter>>) => {
    for (const [name, value] of Object.entries(part)) params[`${path}${name}`] = value;
  };

  const table_VD = init.parameter("embedding", [V, D], normal(1 / Math.sqrt(D)));
  const norm_D = init.parameter("norm", [D], constant(1));
  enter("", { embedding: table_VD, norm: norm_D });
  const withMoe = new Set(moeBlocks(size));
  const blocks: Block[] = [];
  for (let at = 0; at < count; at++) {
    const part = init.part(`block ${at}`);
    const router = withMoe.has(at)
      ? plan.router.create({ D, E, V, tokenCount_V, length }, options, part.part("router"))
      : null;
    if (router) routers[`blocks.${at}.router`] = router;
    const moe = router
      ? createMoeLayer({
        D,
        E,
        router,
        experts: feedForward.create(
          { D, F, E },
          // The scale of a dense network with K F units, whatever K is.
          feedForward.options.parse({
            outDeviation: residualScale / Math.sqrt(activeUnits),
            precision: plan.precision,
          }),
          part.part("experts"),
        ),
      })
      : null;
    const block = createBlock({ D, heads, units: activeUnits, residualScale }, moe, part);
    enter(`blocks.${at}.`, block.params);
    if (moe) {
      enter(`blocks.${at}.router.`, moe.params.router);
      enter(`blocks.${at}.experts.`, moe.params.experts);
      routerParams.push(...Object.keys(moe.params.router).map((name) => `blocks.${at}.router.${name}`));
    }
    blocks.push(block);
  }
  const sizeOfAll = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + sizeOf(params[name].shape), 0);
  const total = sizeOfAll(Object.keys(params));
  const banks = sizeOfAll(Object.keys(params).filter((name) => name.includes(".experts.")));

  return {
    cut,
    counts: { total, router: sizeOfAll(routerParams), active: total - banks + banks * K / E },
    params,
    routerParams,
    routers,
    length,
    async forward(batch, { training, step, random }) {
      checkBatch(batch, V);
      const { sequences } = batch;
      const onDevice = (values_T: HostArray) => tensor(table_VD.backend, values_T, [sequences.T]);
      const [tokenId_T, target_T] = [onDevice(batch.tokenId_T), onDevice(batch.target_T)];
      const mask = batch.real_T ? { real_T: onDevice(batch.real_T) } : {};
      const topology = layOut({ sequences, E, ranks: size.ranks, ranksPerNode: size.ranksPerNode });
      let x_TD = spending(embedding(table_VD, tokenId_T), (row_TD) => affine(row_TD, Math.sqrt(D), 0));
      const layers: { layer: number; routing: Routing }[] = [];
      for (const [at, block] of blocks.entries()) {
        const stream = random.split(at);
        const routeStep = { training, step, random: stream, tokenId_T, sequences, topology, ...mask };
        const output = await block.apply(x_TD, routeStep);
        x_TD = output.x_TD;
        if (output.moe) layers.push({ layer: at, routing: output.moe.routing });
      }
      const loss_T = vocabularyLoss(rmsNorm(x_TD, norm_D), table_VD, target_T);
      // Tokens without a target lose 0, and are not counted either.
      const targets = targetsOf(batch.target_T, table_VD.backend);
      const loss = affine(sumAll(loss_T), 1 / Math.max(1, targets.count), 0);
      return { loss, loss_T, targets, losses: sumByName(layers), layers, topology };
    },
  };
}

function targetsOf(target_T: Int32Array, backend: Backend): Targets {
  const has_T = Float32Array.from(target_T, (target) => target < 0 ? 0 : 1);
  const count = has_T.reduce((sum, has) => sum + has, 0);
  return count === has_T.length ? { count } : { count, mask_T: tensor(backend, has_T, [has_T.length]) };
}

function checkBatch(
  { tokenId_T, target_T, sequences: { T }, real_T = new Float32Array(T) }: Batch,
  V: number,
): void {
  if (tokenId_T.length !== T || target_T.length !== T || real_T.length !== T) {
    throw new RangeError(
      `Cannot run the model: there are ${tokenId_T.length} token ids, ${target_T.length} targets and ` +
        `${real_T.length} marks of real tokens for sequences of ${T} tokens`,
    );
  }
  const id = tokenId_T.find((id) => id < 0 || id >= V);
  if (id !== undefined) {
    throw new RangeError(`Cannot run the model: token id ${id} is outside the vocabulary, 0 to ${V - 1}`);
  }
  const target = target_T.find((target) => target < -1 || target >= V);
  if (target !== undefined) {
    throw new RangeError(
      `Cannot run the model: target ${target} is outside the vocabulary, 0 to ${V - 1}, or -1 for none`,
    );
  }
}

function sumByName(layers: readonly { readonly routing: Routing }[]): Record<string, Tensor> {
  const sums: Record<string, Tensor> = {};
  for (const { routing } of layers) {
    for (const [name, loss] of Object.entries(routing.losses)) {
      sums[name] = name in sums ? add(sums[name], loss) : loss;
    }
  }
  return sums;
}
