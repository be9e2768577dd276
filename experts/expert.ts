// What a bank of experts is: E networks of one shape that compute on rows already sorted by expert.
import type { Init, Params } from "../tensor/init.ts";
import type { OptionsSchema } from "../tensor/plugins.ts";
import type { Random } from "../tensor/random.ts";
import type { SortedRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Sizes a bank is made for: model width, expert hidden width, experts. */
export interface ExpertDims {
  /** Hidden size of the model. */
  readonly D: number;
  /** Intermediate size of one expert. */
  readonly F: number;
  /** Number of experts. */
  readonly E: number;
}

/** Rows sorted by expert. */
export interface ExpertRows {
  /**
   * N rows of width D for `groupedMatmul`, which gathers what it reads; rows past the last kept assignment give 0.
   * `dispatchRows` copies them for anything else.
   */
  readonly rows: SortedRows;
  /** Where each expert's rows begin, i32 [E + 1]. */
  readonly offset_O: Tensor;
  /** A stream of this layer and step in training; absent in evaluation, which is free of noise. */
  readonly random?: Random;
}

/** A kind of experts, whatever its options are. */
// deno-lint-ignore no-explicit-any -- a list of plugins with different options has no better type
export type AnyExpertPlugin = ExpertPlugin<any>;

/** A kind of expert as a plugin. */
export interface ExpertPlugin<Options> {
  /** In kebab-case. */
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  /** What this file does where its source is silent, or was read in released code alone; one sentence or two each. */
  readonly readings?: readonly string[];
  /** True for a kind that passes no gradient, to its tokens or to anything in it: asked for one, it throws. */
  readonly frozen?: boolean;
  /** Defaults, ranges and one-line descriptions of the options. */
  readonly options: OptionsSchema<Options>;
  /** Old names of options, each with its name now; settings of an old name are refused and told the new one. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Old names of options' values, by option, each with its name now; they are refused and told the new one. */
  readonly renamedValues?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Numbers in one expert's parameters; their mean, where experts differ. */
  parameters(dims: ExpertDims, options: Options): number;
  /** Numbers in parameters that all experts of a bank share; none where it is left out. */
  sharedParameters?(dims: ExpertDims, options: Options): number;
  /** Bytes of a bank as its products read it, where a format may make them fewer than 4 a number. */
  keptBytes?(dims: ExpertDims, options: Options): number;
  /** Floating-point operations of one token in one expert, forward: its multiply-adds, times two; or their mean. */
  flopPerToken(dims: ExpertDims, options: Options): number;
  /** The same of one expert, 0 to E - 1, where experts differ. */
  flopOfExpert?(dims: ExpertDims, options: Options, expert: number): number;
  /** Values of 4 bytes that one token in one expert keeps for the backward pass in training, its output included. */
  activationsPerToken(dims: ExpertDims, options: Options): number;
  /**
   * A kind with hidden units, and its options, that stands for the bank as one dense network: as wide as makes FLOPs or
   * parameters equal. Left out, it is the kind itself with one expert, as wide as one of them or as all of them.
   */
  dense?(options: Options): readonly [kind: AnyExpertPlugin, options: unknown] | null;
  /**
   * Makes a bank with fresh parameters for one layer.
   * @throws {RangeError} when the backend cannot store what the options ask for.
   */
  create(dims: ExpertDims, options: Options, init: Init): ExpertBank;
}

/** Experts at work in one layer. */
export interface ExpertBank {
  /** The first dimension of each is the expert. */
  readonly params: Params;
  /** Whose parameters lie along the first dimension, by name, where it is not experts 0 to E - 1. */
  readonly owners?: Readonly<Record<string, readonly number[]>>;
  /** Parameters that all experts share, under names of their own. */
  readonly shared?: Params;
  /** f32 [N, D] from {@linkcode ExpertRows}. */
  apply(rows: ExpertRows): Tensor | Promise<Tensor>;
  /** Frees memory that the bank holds in addition to its parameters. */
  free?(): void;
}
