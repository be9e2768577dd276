// The model around the layer under study, made from its spec: an embedding or frozen vectors, layers, and scores. All
// initial weights but the routers' are the same for every router: streams go by name, and expert weights are drawn unit
// by unit.
import { sizeOf } from "../kernels/kernel.ts";
import type { Router, Routing } from "../routers/router.ts";
import { layOut, type Topology } from "../routers/topology.ts";
import { add, affine } from "../tensor/arithmetic.ts";
import { type Init, normal } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import type { Random } from "../tensor/random.ts";
import { meanAll } from "../tensor/reduce.ts";
import { embedding } from "../tensor/rows.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { type Block, type BlockOutput, createBlock } from "./block.ts";
import { type FlopCounts, flopOf, type WeightCounts, weightsOf } from "./cost.ts";
import { createOutput, frozenTable } from "./output.ts";
import type { ModelSpec } from "./spec.ts";

/** Tokens for one pass, sequences of one length laid end to end. */
export interface Batch {
  /** Rows of the input, i32 [T]. */
  readonly tokenId_T: Tensor;
  /**
   * Class of each token, i32 [T], -1 to leave it out of the loss; or values, f32 [T, rows of the target]. Without it the
   * pass gives scores and no loss.
   */
  readonly target_T?: Tensor;
  /** Tokens of one sequence; T is a multiple of it. */
  readonly length: number;
}

/** What one pass gives. */
export interface ModelOutput {
  /** Mean of `loss_T`, nats or squared error, shape [1]; absent without a target. */
  readonly loss?: Tensor;
  /** Loss of each token, f32 [T]; 0 where there is no target. */
  readonly loss_T?: Tensor;
  /** Scores of each token, f32 [T, V or classes]; only without a target, since the loss uses them up. */
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
  readonly routing: Routing;
  /** Where tokens came from and where experts lived. */
  readonly topology: Topology;
  /** What the mixture's output was added to, and the sum, f32 [T, D]. */
  readonly residual_TD: Tensor | null;
  readonly y_TD: Tensor;
}

/** A router at work in a model. */
export interface PlacedRouter {
  readonly layer: number;
  readonly router: Router;
  /** Paths of its parameters among the model's. */
  readonly params: readonly string[];
}

/** A model. */
export interface Model {
  readonly spec: ModelSpec;
  readonly weights: WeightCounts;
  /** Forward FLOPs of a token by part, the routers' own included. */
  readonly flop: FlopCounts;
  /** All parameters by path: `blocks.1.router.gate`. */
  readonly params: Readonly<Record<string, Parameter>>;
  /** Routers by path: `blocks.1.router`. */
  readonly routers: Readonly<Record<string, PlacedRouter>>;
  /** Paths of the routers' own parameters. */
  readonly routerParams: readonly string[];
  /** One pass over whole sequences; `step` counts from 0, and `random` is a stream of this step. */
  forward(
    batch: Batch,
    step: { readonly training: boolean; readonly step: number; readonly random: Random },
  ): Promise<ModelOutput>;
  /** Frees all parameters and frozen vectors. */
  free(): void;
}

/**
 * Makes a model with fresh weights from `init`.
 * @throws {RangeError} for a precision that the backend cannot store, or options that a router or its experts refuse.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, memory, random, tensor } from "@switchyard/moe";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const spec = specOf(configOf({ "model.layers": 2 }), data);
 * const backend = await cpu({ threads: 1 });
 * const model = createModel(spec, createInit(backend, random(0)));
 * assertEquals(model.routers["blocks.1.router"].params, ["blocks.1.router.gate"]);
 * {
 *   using _scope = memory();
 *   const tokenId_T = tensor(backend, Int32Array.of(1, 2, 3, 4, 5, 6), [6]);
 *   const step = { training: false, step: 0, random: random(1) };
 *   const { logits_TV, layers } = await model.forward({ tokenId_T, length: 3 }, step);
 *   assertEquals([logits_TV!.shape, layers.length], [[6, 64], 1]);
 * }
 * model.free();
 * backend.close();
 * ```
 */
export function createModel(spec: ModelSpec, init: Init): Model {
  const { D, input } = spec;
  const params: Record<string, Parameter> = {};
  const enter = (path: string, part: Readonly<Record<string, Parameter>>) => {
    for (const [name, value] of Object.entries(part)) params[`${path}${name}`] = value;
    return Object.keys(part).map((name) => `${path}${name}`);
  };
  const table_VD = input.kind === "tokens"
    ? params.embedding = init.parameter("embedding", [input.V, D], normal(1 / Math.sqrt(D)))
    : null;
  const held: Parameter[] = [];
  const output = createOutput(spec, table_VD, params, held, init);
  const read = createInput(spec, table_VD, held, init);
  const residualScale = 1 / Math.sqrt(2 * spec.layers.length);
  const routers: Record<string, PlacedRouter> = {};
  const blocks = spec.layers.map((layer, at): Block => {
    const block = createBlock(layer, spec, residualScale, init.part(`block ${at}`));
    enter(`blocks.${at}.`, block.params);
    if (block.moe) {
      const { layer: moe, router } = block.moe;
      const paths = enter(`blocks.${at}.router.`, moe.params.router);
      enter(`blocks.${at}.experts.`, moe.params.experts);
      routers[`blocks.${at}.router`] = { layer: at, router, params: paths };
    }
    return block;
  });
  const routerParams = Object.values(routers).flatMap((placed) => placed.params);
  const router = routerParams.reduce((sum, name) => sum + sizeOf(params[name].shape), 0);
  const matrices = routerParams.filter((name) => params[name].shape.length > 1)
    .reduce((sum, name) => sum + sizeOf(params[name].shape), 0);
  const counted = weightsOf(spec);
  return {
    spec,
    weights: { ...counted, router, total: counted.total + router, active: counted.active + router },
    flop: flopOf(spec, matrices),
    params,
    routers,
    routerParams,
    async forward({ tokenId_T, target_T, length }, { training, step, random }) {
      const [T] = tokenId_T.shape;
      let x_TD = read(tokenId_T);
      const layers: LayerOutput[] = [];
      for (const [at, block] of blocks.entries()) {
        const E = block.moe?.spec.E ?? 1;
        const topology = layOut({ T, E, length, ranks: spec.ranks, ranksPerNode: spec.ranksPerNode });
        const output: BlockOutput = await block.apply(x_TD, {
          ...{ training, step, random: random.split(at), tokenId_T, length },
          ...(block.moe ? { topology } : {}),
        });
        x_TD = output.x_TD;
        if (output.moe) {
          const { routing, residual_TD, y_TD } = output.moe;
          layers.push({ layer: at, E, routing, topology, residual_TD, y_TD });
        }
      }
      const losses = sumByName(layers);
      if (!target_T) return { logits_TV: output.scores(x_TD), losses, layers };
      const loss_T = output.loss(x_TD, target_T);
      return { loss: meanAll(loss_T), loss_T, losses, layers };
    },
    free() {
      for (const { backend, buffer } of [...Object.values(params), ...held]) backend.free(buffer);
    },
  };
}

/** Rows of the embedding, scaled to unit variance, or of the frozen vectors. */
function createInput(
  { D, input }: ModelSpec,
  table_VD: Parameter | null,
  held: Parameter[],
  init: Init,
): (tokenId_T: Tensor) => Tensor {
  if (input.kind === "tokens") {
    return (tokenId_T) =>
      spending(embedding(table_VD!, tokenId_T), (row_TD) => affine(row_TD, Math.sqrt(D), 0));
  }
  const frozen = frozenTable(init, input.vectors, held);
  return (tokenId_T) => embedding(frozen, tokenId_T);
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
