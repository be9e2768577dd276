// A trained model as tensors and texts: parameters under the model's own names, what its routers carry, how often each
// token occurs, and as texts its config, its vocabulary and where it comes from. Frozen vectors are left to the task.
import { createTokenizer, type TokenizerFiles } from "../data/tokenizer.ts";
import { type Vocabulary, vocabularyOf } from "../data/vocabulary.ts";
import type { Model } from "../models/model.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { readParameters, routerStates } from "./model_weights.ts";

/** Which step's model a run keeps: that of the lowest held-out loss, or the last. */
export type KeptStep = "best" | "last";

/** Where a saved model comes from. */
export interface ModelOrigin {
  /** Name of its run: `switch-seed0`. */
  readonly run: string;
  /** Steps of training it has behind it. */
  readonly step: number;
  /** Its loss on the run's held-out examples, where that was taken at this step. */
  readonly loss: number | null;
  /** Why this step; absent where a program chose it. */
  readonly kept?: KeptStep;
  /** Digest of its task's content. */
  readonly task: string;
  /** Version of the package that saved it. */
  readonly version: string;
}

/** What a model needs to be made again, beside its config. */
export type ModelData = Pick<TaskData, "input" | "output" | "bestRouting" | "vocabulary">;

const COUNTS = "task.tokenCount";

/** What a model's file holds. */
export async function modelToSave(
  model: Model,
  config: RunConfig,
  data: ModelData,
  origin: ModelOrigin,
): Promise<Checkpoint> {
  const { tensors, metadata } = besideWeights(config, data, origin);
  return {
    tensors: { ...await readParameters(model.params), ...routerStates(model.routers), ...tensors },
    metadata,
  };
}

/** What a model's file holds besides the model itself. */
export function besideWeights(
  config: RunConfig,
  { input, output, vocabulary }: {
    readonly input: ModelData["input"];
    readonly output: { readonly kind: string };
    readonly vocabulary?: Vocabulary | null | undefined;
  },
  { run, step, loss, kept, task, version }: ModelOrigin,
): Checkpoint {
  // Of everything else the task is asked again: its vectors are far larger than what was learned.
  const counts =
    input.kind === "tokens" && output.kind === "tokens" && config.control !== "best known routing"
      ? { [COUNTS]: { values: input.tokenCount_V, shape: [input.V] } }
      : {};
  return {
    tensors: counts,
    metadata: {
      switchyard: JSON.stringify({ run, step, loss, ...(kept ? { kept } : {}), task, version }),
      config: JSON.stringify(config),
      ...(vocabulary ? { vocabulary: JSON.stringify(numberingOf(vocabulary)) } : {}),
    },
  };
}

/** What text becomes numbers by, as it is saved. */
type Saved = Pick<Vocabulary, "unit" | "words"> & { readonly files?: TokenizerFiles };

function numberingOf({ unit, words, tokenizer }: Vocabulary): Saved {
  return { unit, words, ...(tokenizer ? { files: tokenizer.files } : {}) };
}

/**
 * What a saved model says of its task: of a text all there is, of other tasks what they give when they are loaded again.
 * @throws {RangeError} through `refuse` when the task gives other content now; as the task does when it cannot be loaded.
 */
export async function dataOf(
  { tensors, metadata }: Checkpoint,
  config: RunConfig,
  origin: ModelOrigin,
  refuse: (why: string) => never,
): Promise<ModelData> {
  const counts = tensors[COUNTS]?.values;
  if (counts instanceof Int32Array) {
    const input = { kind: "tokens", V: counts.length, tokenCount_V: counts } as const;
    const text = { input, output: { kind: "tokens" }, bestRouting: null } as const;
    if (metadata.vocabulary === undefined) return text;
    return { ...text, vocabulary: await vocabularyFrom(metadata.vocabulary, counts) };
  }
  const { name, ...options } = config.task;
  const task = findTask(name);
  const data = await task.load(parseTaskOptions(task, options));
  if (data.digest !== origin.task) {
    refuse(`its task "${name}" had the digest ${origin.task} and now has ${data.digest}`);
  }
  return data;
}

async function vocabularyFrom(text: string, counts: Int32Array): Promise<Vocabulary> {
  const { unit, words, files } = JSON.parse(text) as Saved;
  if (!files) return vocabularyOf({ unit, words }, counts);
  const tokenizer = await createTokenizer(files.tokenizer, files.config, "of the model");
  return vocabularyOf({ unit, words, tokenizer }, counts);
}

/** True for a tensor that is no part of the model itself. */
export function isOfTask(name: string): boolean {
  return name === COUNTS;
}
