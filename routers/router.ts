// What a router is: a plugin that decides which experts take which tokens, and with what weight. It scores, it may call
// the capacity helpers, and it never moves a token: that is the layer's work.
import type { Init, Params } from "../tensor/init.ts";
import type { OptionsSchema } from "../tensor/plugins.ts";
import type { Random } from "../tensor/random.ts";
import type { Sequences } from "../tensor/sequences.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Topology } from "./parts/topology.ts";

/** Where a router comes from. */
export interface Paper {
  /** Title of the paper. */
  readonly title: string;
  /** Year it appeared. */
  readonly year: number;
  /** arXiv number or DOI. */
  readonly identifier: string;
  /** Sections and equations the file implements. */
  readonly equations: string;
}

/** What shared code may rely on; it never asks for a plugin's name. */
export interface Traits {
  /** A later token never changes an earlier token's experts. */
  readonly causal: boolean;
  /** What keeps the loads of experts even. */
  readonly balancedBy: "nothing" | "loss" | "bias" | "construction";
  /** How many experts a token is sent to. */
  readonly perToken: "exactly K" | "up to K" | "varies";
  /** How training reaches the router's own parameters. */
  readonly gradient: "through weight" | "score function" | "none";
}

/** Sizes a router is made for. */
export interface RouterDims {
  /** Model width. */
  readonly D: number;
  /** Experts. */
  readonly E: number;
  /** Vocabulary: token ids lie below V. Absent = tokens have no ids. */
  readonly V?: number;
  /** How often each token id occurs in training text, where known. */
  readonly tokenCount_V?: Int32Array;
  /** Tokens of one sequence in training, where known. */
  readonly length?: number;
}

/** A router as a plugin. */
export interface RouterPlugin<Options> {
  /** In kebab-case; what `--routers` takes. */
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  /** Where it comes from. */
  readonly paper: Paper;
  /** What this file does where the paper is silent or released code differs; one sentence each. */
  readonly readings?: readonly string[];
  /** What is easily got wrong, or surprises; one sentence each. */
  readonly pitfalls?: readonly string[];
  /** What it promises; every training step is held against them. */
  readonly traits: Traits;
  /** Where options change what `traits` say: the traits that they change. */
  traitsWith?(options: Options): Partial<Traits>;
  /** Defaults, ranges and one-line descriptions of the options. */
  readonly options: OptionsSchema<Options>;
  /** Old names of options, each with its name now; settings of an old name are refused and told the new one. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Old names of options' values, by option, each with its name now; they are refused and told the new one. */
  readonly renamedValues?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** K: experts a token is sent to, before anything is dropped. */
  expertsPerToken(options: Options): number;
  /** Makes a router with fresh parameters for one layer. */
  create(dims: RouterDims, options: Options, init: Init): Router;
}

/** A router at work in one layer. */
export interface Router {
  /** Its parameters by name. */
  readonly params: Params;
  /**
   * Decides which experts take which tokens.
   * @param x_TD What the layer is given, f32.
   */
  route(x_TD: Tensor, step: RouteStep): Routing | Promise<Routing>;
  /** Told the layer's load after each training step. */
  observe?(load: RouterLoad): void;
  /** What a checkpoint must carry beyond parameters, by name. */
  state?(): Readonly<Record<string, Float32Array>>;
  /** Takes back what {@linkcode Router.state} gave. */
  restore?(state: Readonly<Record<string, Float32Array>>): void;
}

/** How many tokens one step routed, and assignments by expert: E counts each. */
export interface RouterLoad {
  /** Tokens routed, padding left out. */
  readonly tokens: number;
  /** Before capacity. */
  readonly wanted: readonly number[];
  /** After capacity. */
  readonly kept: readonly number[];
}

/** What a router may know besides the tokens. */
export interface RouteStep {
  /** Whether this is training; evaluation is free of noise. */
  readonly training: boolean;
  /** Training step, from 0; in evaluation, how many there have been. */
  readonly step: number;
  /** A stream of this layer and step. */
  readonly random: Random;
  /** Token ids, i32 [T]. Absent = tokens have none, as in regression. */
  readonly tokenId_T?: Tensor;
  /** Which tokens are of one sequence, T in all. */
  readonly sequences: Sequences;
  /** Padding mask, f32 [T]: 1 = a real token, 0 = padding. Absent = all real. */
  readonly real_T?: Tensor;
  /** Home of each token and place of each expert. Absent = everything on one rank. */
  readonly topology?: Topology;
}

/**
 * A score-function estimator: the trainer adds mean_t w_t (f_t - b) log p_t to what it differentiates, where f_t is the
 * token's loss and everything but log p_t is a constant.
 */
export interface ScoreFunction {
  /** log p of the expert drawn for each token under the router's own distribution, f32 [T]; carries the gradient. */
  readonly logProbability_T: Tensor;
  /** Importance weight w of each token, f32 [T], without gradient; 0 = skipped, or padding. */
  readonly importance_T: Tensor;
  /** b; made of earlier steps alone, so that the estimator stays unbiased. */
  readonly baseline: number;
  /** Told after the step: mean of f_t over tokens, weighted by w. */
  observeLoss?(mean: number): void;
}

/** N assignments of tokens to experts. */
export interface Routing {
  /** Token of each assignment, i32 [N]. */
  readonly token_N: Tensor;
  /** Expert of each assignment, i32 [N]; -1 = dropped or not wanted. */
  readonly expert_N: Tensor;
  /** The expert wanted before capacity, i32 [N]; -1 = none (padding, a second choice not drawn). */
  readonly wanted_N: Tensor;
  /** Weight of the expert's output, f32 [N]; carries the gradient to the router. */
  readonly weight_N: Tensor;
  /** K when assignments are laid out [T, K] with choices in falling preference; null for other layouts. */
  readonly choices: number | null;
  /**
   * Scales the gradient that flows back into each assignment's expert output, f32 [N]; the output itself is untouched.
   * Absent = 1 everywhere.
   */
  readonly gradientWeight_N?: Tensor;
  /** How a sampled routing trains its router, where no gradient reaches it through weights. */
  readonly estimator?: ScoreFunction;
  /** The first experts of the bank that every token goes to, left out of what is said about balance. Absent = 0. */
  readonly shared?: number;
  /**
   * Soft routing: when present, this moves tokens instead of the assignments, which are then for reports only and name
   * the tokens that weigh most with each expert.
   */
  readonly mixture?: Mixture;
  /** Added to the training loss as they are: already weighted, shape [1] each. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** Values to record in training, by name, shape [1] each: a temperature, a threshold. No gradient passes. */
  readonly scalars?: Readonly<Record<string, Tensor>>;
  /** The router's distribution over experts, f32 [T, E], where it has one; for reports only. */
  readonly probability_TE?: Tensor;
}

/**
 * Experts see weighted means of a sequence's tokens, one a slot, and tokens get weighted means of slots back. M slots a
 * sequence, M / E in a row for each expert. Sequences of one length are mixed together.
 */
export interface Mixture {
  /** One entry for each length of sequence in the batch. */
  readonly parts: readonly MixturePart[];
}

/** All sequences of one length L in a batch, B of them. */
export interface MixturePart {
  /** Their tokens end to end, f32 [B L, D]: all that the layer is given, or rows of it. */
  readonly x_TD: Tensor;
  /** Which tokens of the batch they are; absent = all, in order. */
  readonly token_T?: Int32Array;
  /** Weight of token l of sequence b in slot m, f32 [B, M, L]. */
  readonly dispatch_BML: Tensor;
  /** Weight of slot m's output for token l of sequence b, f32 [B, L, M]. */
  readonly combine_BLM: Tensor;
}
