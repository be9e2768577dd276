// Distillation: a kept model whose scores the model in training learns from beside the targets, to the end (Switch
// Transformer, section 4.2) or for its first steps alone (Mixture-of-Students, DeepSpeed-MoE section 4.2).
import type { Backend } from "../kernels/kernel.ts";
import type { Batch, Model, ModelOutput, PassStep, Targets } from "../models/model.ts";
import { rowsOf } from "../models/spec.ts";
import type { TaskData } from "../tasks/task.ts";
import { add, affine, multiply, square, subtract } from "../tensor/arithmetic.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { logsumexp, softmax, sumAll, sumLast } from "../tensor/reduce.ts";
import { stopGradient, type Tensor } from "../tensor/tensor.ts";
import type { RunConfig } from "./config.ts";
import { loadModel } from "./load_model.ts";
import { refuseOtherWords } from "./start.ts";
import type { LossTerms } from "./training_loss.ts";

/** A model to learn from. */
export interface Teacher {
  /** The model, which stays as it is. */
  readonly model: Model;
  /** Share of the loss that its scores have, 0 to 1. */
  readonly share: number;
  /** Steps in which it is asked; null = all. */
  readonly steps: number | null;
  /** Steps of training it has behind it. */
  readonly trained: number;
  /** Frees it. */
  close(): void;
}

/**
 * Loads the teacher that a run's config names; null where it names none.
 * @throws {RangeError} when its input or output is not the student's; {Error} when it cannot be read, saying why.
 */
export async function openTeacher(
  student: Model,
  { config: { train }, data, backend }: {
    readonly config: RunConfig;
    readonly data: Pick<TaskData, "vocabulary">;
    readonly backend: Backend;
  },
): Promise<Teacher | null> {
  if (train.teacher === null) return null;
  const loaded = await loadModel(train.teacher, { backend });
  try {
    refuseOtherWords(loaded, data, `learn from ${loaded.run}`);
    const [theirs, own] = [loaded.model, student].map(({ spec: { input, target } }) =>
      JSON.stringify([
        rowsOf(input),
        target.kind,
        ...(target.kind === "vectors" ? [target.loss, target.vectors.rows] : []),
      ])
    );
    if (theirs !== own) {
      throw new RangeError(
        `Cannot learn from ${loaded.run}: rows of its input and kind of its output are ${theirs}, and the student's ${own}`,
      );
    }
  } catch (error) {
    loaded.close();
    throw error;
  }
  const { model, step, close } = loaded;
  return { model, share: train.teacherShare, steps: train.teacherSteps, trained: step, close };
}

/**
 * A pass of the student, and what is differentiated: (1 - share) times the loss plus share times the teacher's, which is
 * among the losses as `teacher`. After the teacher's last step it is the pass alone.
 */
export async function withTeacher(
  teacher: Teacher | null,
  student: Model,
  batch: Batch,
  step: PassStep & { readonly backend: Backend },
): Promise<readonly [output: ModelOutput, terms: LossTerms]> {
  if (!teacher || teacher.steps !== null && step.step >= teacher.steps) {
    const output = await student.forward(batch, step);
    return [output, output];
  }
  const taught_TR = await scoresOf(teacher, batch, step.backend);
  const output = await student.forward(batch, { ...step, scores: true });
  const { target } = student.spec;
  const loss_T = target.kind === "vectors" && target.loss === "squared-error"
    ? sumLast(square(subtract(output.logits_TV!, taught_TR)))
    : divergence(taught_TR, output.logits_TV!);
  const soft = affine(meanOf(loss_T, output.targets!), teacher.share, 0);
  const terms = {
    ...output,
    loss: affine(output.loss!, 1 - teacher.share, 0),
    losses: { ...output.losses, teacher: soft },
  };
  return [output, terms];
}

/** Scores as in evaluation; all else that the pass makes is freed at once. */
async function scoresOf({ model, trained }: Teacher, batch: Batch, backend: Backend): Promise<Tensor> {
  using scope = memory(backend);
  const { target_T: _, ...given } = batch;
  const step = { training: false, step: trained, random: random(0), backend };
  const { logits_TV } = await model.forward(given, step);
  return stopGradient(scope.keep(logits_TV!));
}

/**
 * KL(teacher || student) of each token, nats, [T]: cross-entropy with the teacher's distribution less that distribution's
 * own entropy, which no gradient depends on.
 */
function divergence(taught_TV: Tensor, score_TV: Tensor): Tensor {
  const ahead_T = sumLast(multiply(stopGradient(softmax(taught_TV)), subtract(taught_TV, score_TV)));
  return add(ahead_T, subtract(logsumexp(score_TV), stopGradient(logsumexp(taught_TV))));
}

function meanOf(loss_T: Tensor, { count, mask_T }: Targets): Tensor {
  return affine(sumAll(mask_T ? multiply(loss_T, mask_T) : loss_T), 1 / Math.max(1, count), 0);
}
