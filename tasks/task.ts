// What a task is: a plugin that says where examples come from, what a model's input and output are, and how good
// routing can be. It knows a model's input and target, and nothing of routers or training.
import type { Vocabulary } from "../data/vocabulary.ts";
import type { ModelInput, ModelTarget } from "../models/spec.ts";
import type { OptionsSchema } from "../tensor/plugins.ts";
import type { Random } from "../tensor/random.ts";

/** T tokens, sequences laid end to end. */
export interface Examples {
  /** Row of the input that each token is, below V or the vectors' rows. */
  readonly tokenId: Int32Array;
  /** Class of each token, -1 to leave it out of the loss; or its values, [T, rows of the output] row-major. */
  readonly target: Int32Array | Float32Array;
  /** Tokens of each sequence; their sum is T. */
  readonly lengths: readonly number[];
}

/** Held-out examples with what is known of them. */
export interface EvaluationExamples extends Examples {
  /** For each of the task's label sets, the label of each token as an index in its names; -1 = none. */
  readonly labels: readonly Int32Array[];
}

/** A kind of label for specialisation: parts of speech, genres, languages, topics. */
export interface LabelSet {
  /** In the singular: "part of speech". */
  readonly name: string;
  /** What each label is called. */
  readonly names: readonly string[];
}

/** Shape of a batch. */
export interface BatchShape {
  /** Sequences in a batch, B. */
  readonly batch: number;
  /** Tokens of a sequence, L. */
  readonly length: number;
}

/** A training batch to make. */
export interface TrainingShape extends BatchShape {
  /** A stream of the run: which examples, in which order. */
  readonly random: Random;
  /** Parts the examples are cut into, 1 when left out: the s-th block of the batch is taken from the s-th part. */
  readonly shards?: number;
}

/** A loss that needs no model, for charts: chance, unigram frequencies. */
export interface ReferenceLoss {
  /** What it is the loss of. */
  readonly name: string;
  /** Nats, or squared error. */
  readonly loss: number;
}

/** A task's examples, loaded. */
export interface TaskData {
  /** What was loaded: "the Brown corpus", "recall". */
  readonly name: string;
  /** Identifies the content: equal digests, equal examples. Hexadecimal. */
  readonly digest: string;
  /** What a model reads. */
  readonly input: ModelInput;
  /** What a model predicts. */
  readonly output: ModelTarget;
  /** Kinds of labels that held-out tokens have. */
  readonly labels: readonly LabelSet[];
  /** Sizes worth telling: training tokens, validation tokens, ... */
  readonly facts: Readonly<Record<string, number>>;
  /** Losses to compare with. */
  readonly references: readonly ReferenceLoss[];
  /** Of a task of text, how text becomes rows of the input; saved with a model, so that it can be given text. */
  readonly vocabulary?: Vocabulary;
  /** What a row of the input is called, where it has a name: a word. */
  nameOf(tokenId: number): string | null;
  /** Training batches by step, counted from 0: a pure function of the stream, the shape and the step. */
  trainingExamples(shape: TrainingShape): (step: number) => Examples;
  /** All held-out examples, in order; the last batch may be smaller. */
  evaluationExamples(shape: BatchShape): readonly EvaluationExamples[];
  /**
   * The best routing known: a group for each row of the input, from 0; an oracle sends group g to expert g mod E. Null where
   * none is known.
   */
  readonly bestRouting: { readonly about: string; readonly group_V: Int32Array } | null;
}

/** A task as a plugin. */
export interface TaskPlugin<Options> {
  /** In kebab-case; what `--task` takes. */
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  /** Where the task comes from, or that it is ours. */
  readonly source: string;
  /** Defaults, ranges and one-line descriptions of the options. */
  readonly options: OptionsSchema<Options>;
  /** Settings of a run that suit the task, by path: `{ "train.steps": 600, "model.width": 32 }`. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Settings by path of the sizes that `--size` takes, over the defaults. */
  readonly sizes: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /**
   * Loads or makes the examples.
   * @throws {RangeError} when the options name what does not exist or cannot be used.
   */
  load(options: Options): Promise<TaskData>;
}
