// One training step. What it draws and which examples it sees are functions of the seed and the step alone. Everything
// it reads back is asked for together, at its end: on a GPU a wait costs the same for one number as for all.
import type { Backend } from "../kernels/kernel.ts";
import type { Model, ModelOutput } from "../models/model.ts";
import { asAuthored } from "../moe/author.ts";
import { countDropsByPosition, gateEntropy, loadOf, type RoutingValues } from "../moe/load.ts";
import type { Examples } from "../tasks/task.ts";
import { square } from "../tensor/arithmetic.ts";
import { gradientsByName } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { pass, stage } from "../tensor/stage.ts";
import type { Sequences } from "../tensor/sequences.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { RunConfig } from "./config.ts";
import type { ReadRouting } from "./contract.ts";
import { batchOf } from "./evaluate.ts";
import { importanceOf } from "./importance.ts";
import type { AdamW } from "./optimizer.ts";
import type { LayerLoad, StepRow } from "./record.ts";
import { weightedMeanLoss } from "./score_function.ts";
import { type Teacher, withTeacher } from "./teacher.ts";
import type { ProgressState } from "./train_state.ts";
import { trainingLoss } from "./training_loss.ts";

/** What a step works on. */
export interface StepParts {
  readonly config: RunConfig;
  /** Name of the run, for errors. */
  readonly run: string;
  /** Training batches by step. */
  readonly examplesAt: (step: number) => Examples;
  readonly backend: Backend;
  readonly model: Model;
  /** Whom the model learns from beside the targets. */
  readonly teacher?: Teacher | null;
  readonly optimizer: AdamW;
  readonly state: ProgressState;
  readonly learningRate: number;
  /** Holds each layer's routing against what its router declares; throws where they differ. */
  readonly check?: (read: ReadRouting) => void;
}

/** One step: forward, gradients, update, and its row of the record. */
export async function trainStep(parts: StepParts): Promise<StepRow> {
  const { config, run, examplesAt, backend, model, optimizer, state, learningRate } = parts;
  using _scope = memory(backend);
  const { step } = state;
  const streams = random(config.seed);
  const routing = streams.split("routing").split(step);
  const batch = stage(backend, "batch", () => batchOf(examplesAt(step)));
  const pass = { training: true, step, random: routing, backend };
  const [output, terms] = await withTeacher(parts.teacher ?? null, model, batch, pass);
  const losses = Object.entries(terms.losses);
  const sampled = output.layers.flatMap(({ routing }) => routing.estimator ?? []);
  const byName = await gradientsOf(trainingLoss(terms), model, run);
  const { squares, norm } = within(backend, "optimizer", () => ({
    squares: model.routerParams.map((name) => sumAll(square(byName[name]))),
    norm: optimizer.update(byName, learningRate, step),
  }));
  const sampledLosses = sampled.map((estimator) =>
    weightedMeanLoss(output.loss_T!, estimator, output.targets)
  );

  const [loss, gradientNorm, lossValues, layers, scalars, observed] = await within(
    backend,
    "reading",
    () =>
      Promise.all([
        scalar(output.loss!),
        scalar(norm),
        Promise.all(losses.map(([, value]) => scalar(value))),
        readLayers(output, batch.sequences, parts),
        readScalars(output),
        Promise.all(sampledLosses.map(scalar)),
        ...model.routerParams.map((name, at) => state.noteRouterGradient(name, squares[at])),
      ]),
  );
  const row: StepRow = {
    kind: "step",
    step,
    loss,
    losses: Object.fromEntries(losses.map(([name], at) => [name, lossValues[at]])),
    learningRate,
    gradientNorm,
    layers,
    ...(scalars ? { scalars } : {}),
  };
  if (!Number.isFinite(row.loss) || !Number.isFinite(row.gradientNorm)) {
    throw new RangeError(
      `Cannot go on with ${run}: at step ${step} the loss is ${row.loss} and the gradient norm ${row.gradientNorm}`,
    );
  }
  const { T: tokens } = batch.sequences; // training batches have no padding
  for (const { layer, ...load } of row.layers) {
    const { router, called } = model.routers[`blocks.${layer}.router`];
    asAuthored(called, () => router.observe?.({ tokens, ...load }));
  }
  sampled.forEach((estimator, at) => estimator.observeLoss?.(observed[at]));
  return row;
}

async function gradientsOf(loss: Tensor, model: Model, run: string): Promise<Record<string, Tensor>> {
  const byName = await gradientsByName(loss, model.params);
  for (const [name, gradient] of Object.entries(byName)) {
    if (!gradient) throw new TypeError(`Cannot train ${run}: no gradient reaches "${name}"`);
  }
  return byName as Record<string, Tensor>;
}

/** A pass that is a stage of its own. */
function within<T>(backend: Backend, name: "optimizer" | "reading", body: () => T): T {
  return pass(backend, name, () => stage(backend, name, body));
}

/** What routers log, by layer and name; null where none does. */
async function readScalars({ layers }: ModelOutput): Promise<Record<string, number> | null> {
  const logged = layers.flatMap(({ layer, routing }) =>
    Object.entries(routing.scalars ?? {}).map(([name, value]) => [`${name}, layer ${layer}`, value] as const)
  );
  if (logged.length === 0) return null;
  const values = await Promise.all(logged.map(([, value]) => scalar(value)));
  return Object.fromEntries(logged.map(([name], at) => [name, values[at]]));
}

async function readLayers(
  { layers }: ModelOutput,
  sequences: Sequences,
  { model: { spec }, state, check }: StepParts,
): Promise<LayerLoad[]> {
  const read = await Promise.all(
    layers.map(({ routing: { token_N, wanted_N, expert_N, probability_TE, estimator } }) => {
      const entropy = probability_TE ? scalar(gateEntropy(probability_TE)) : null;
      return Promise.all([
        token_N.read(),
        wanted_N.read(),
        expert_N.read(),
        entropy,
        estimator?.importance_T.read(),
      ]);
    }),
  );
  return layers.map(({ layer, E, routing, topology, y_TD }, at) => {
    const [token_N, wanted_N, expert_N] = read[at] as Int32Array[];
    const [, , , entropy, importance] = read[at];
    const { feedForward } = spec.layers[layer];
    if (feedForward.kind === "moe") {
      const [T] = y_TD.shape;
      check?.({ layer, spec: feedForward, routing, T, token_N, wanted_N, expert_N });
    }
    const values: RoutingValues = {
      E,
      wanted_N,
      expert_N,
      choices: routing.choices,
      shared: routing.shared ?? 0,
      gateEntropy: entropy,
      home: { token_N, topology },
    };
    countDropsByPosition(values, token_N, sequences, state.drops);
    return {
      layer,
      ...loadOf(values),
      ...(importance ? { importance: importanceOf(importance as Float32Array) } : {}),
    };
  });
}
