// Text in windows of one length. A training batch is a pure function of the stream and the step, so a resumed run sees
// what an uninterrupted one would have seen without saving where it was.
import type { Random } from "../tensor/random.ts";
import type { Dataset, Tokens } from "./dataset.ts";

/** B windows of L tokens, laid end to end: T = B x L. */
export interface Batch {
  /** Numbers of the tokens, T. */
  readonly tokenId: Int32Array;
  /** The token after each token. */
  readonly target: Int32Array;
}

/** A batch of validation text, with what is known of its input tokens. */
export interface ValidationBatch extends Batch {
  /** Windows in the batch; fewer than asked in the last one. */
  readonly windows: number;
  /** Place in the validation text of the first token. */
  readonly start: number;
  /** Indices in the dataset's `partsOfSpeech`, or -1. */
  readonly partOfSpeech: Int32Array;
  /** Indices in the dataset's `genres`, or -1. */
  readonly genre: Int32Array;
}

/** Shape of a batch. */
export interface BatchShape {
  /** Windows in a batch, B. */
  readonly batch: number;
  /** Tokens in a window, L. */
  readonly length: number;
}

/** Training batches to make. */
export interface TrainingBatchOptions extends BatchShape {
  /** A stream of the run: where windows begin, and in which order. */
  readonly random: Random;
  /** Parts the text is cut into, 1 when left out: the s-th block of rows draws from the s-th part. */
  readonly shards?: number;
}

/** Windows with a target for each of their tokens. */
function windowsIn(
  dataset: Dataset<Tokens>,
  part: "train" | "validation",
  { batch, length }: BatchShape,
): number {
  for (const [what, value] of [["windows", batch], ["tokens a window", length]] as const) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`Cannot make a batch of ${value} ${what}: choose a whole number of at least 1`);
    }
  }
  const held = dataset[part].length;
  const windows = Math.floor((held - 1) / length);
  if (windows < 1) {
    const text = part === "train" ? "training" : "validation";
    throw new RangeError(
      `Cannot cut ${dataset.name} into windows of ${length} tokens: its ${text} text has ${held}, and at least ` +
        `${length + 1} are needed`,
    );
  }
  return windows;
}

/**
 * Training batches by step, counted from 0. Each epoch visits every full window of the training text once, in its own
 * order; a batch may straddle two epochs. With shards, each block of rows goes through its own part of the text like that.
 * @returns A function of the step alone, which remembers the order of the epoch that it was last asked for.
 * @throws {RangeError} when the training text is shorter than one window a shard, or shards do not divide the batch.
 * @example
 * ```ts
 * import { random } from "@switchyard/moe";
 * import { parsePlainText, prepare, trainingBatches } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const batch = trainingBatches(dataset, { batch: 2, length: 8, random: random(0) })(3);
 * assertEquals(batch.tokenId.length, 16);
 * assertEquals(batch.target.slice(0, 7), batch.tokenId.slice(1, 8));
 * ```
 */
export function trainingBatches(
  dataset: Dataset<Tokens>,
  options: TrainingBatchOptions,
): (step: number) => Batch {
  const { batch, length, random, shards = 1 } = options;
  const windows = Math.floor(windowsIn(dataset, "train", options) / shards);
  const rows = batch / shards;
  if (!Number.isInteger(rows) || windows < 1) {
    throw new RangeError(
      `Cannot make batches of ${batch} windows from ${shards} parts of ${dataset.name}: choose a number of parts ` +
        "that divides the batch and leaves each part a window",
    );
  }
  let latest: { readonly epoch: number; readonly order: Int32Array } | undefined;
  const orderOf = (epoch: number) => {
    if (latest?.epoch !== epoch) {
      latest = { epoch, order: random.split("order").split(epoch).permutation(windows) };
    }
    return latest.order;
  };
  return (step) => {
    const tokenId = new Int32Array(batch * length);
    const target = new Int32Array(batch * length);
    for (let row = 0; row < batch; row++) {
      const place = step * rows + row % rows;
      const order = orderOf(Math.floor(place / windows));
      const start = (Math.floor(row / rows) * windows + order[place % windows]) * length;
      const window = dataset.train.subarray(start, start + length + 1);
      tokenId.set(window.subarray(0, length), row * length);
      target.set(window.subarray(1), row * length);
    }
    return { tokenId, target };
  };
}

/**
 * All full windows of the validation text, in order.
 * @throws {RangeError} when the validation text is shorter than one window.
 * @example
 * ```ts
 * import { parsePlainText, prepare, validationBatches } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const batches = validationBatches(dataset, { batch: 8, length: 8 });
 * assertEquals(batches.map(({ windows }) => windows), [8, 4]); // of 100 tokens
 * ```
 */
export function validationBatches(dataset: Dataset<Tokens>, shape: BatchShape): ValidationBatch[] {
  const { batch, length } = shape;
  const total = windowsIn(dataset, "validation", shape);
  return Array.from({ length: Math.ceil(total / batch) }, (_, at) => {
    const windows = Math.min(batch, total - at * batch);
    const start = at * batch * length;
    const end = start + windows * length;
    return {
      windows,
      start,
      tokenId: dataset.validation.subarray(start, end),
      target: dataset.validation.subarray(start + 1, end + 1),
      partOfSpeech: dataset.partOfSpeech.subarray(start, end),
      genre: dataset.genre.subarray(start, end),
    };
  });
}
