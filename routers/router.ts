// What a router is: a plugin that decides which experts take which tokens, and with what weight. It scores, it may call
// the capacity helpers, and it never moves a token: that is the layer's work.
import type { z } from "zod";
import type { Init, Params } from "../tensor/init.ts";
import type { Random } from "../tensor/random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Topology } from "./topology.ts";

/** Where a router comes from. */
export interface Paper {
  readonly title: string;
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
  readonly balancedBy: "nothing" | "loss" | "bias" | "construction";
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
  /** Vocabulary: token ids lie below V. */
  readonly V: number;
  /** How often each token id occurs in training text, where known. */
  readonly tokenCount_V?: Int32Array;
}

/** A router as a plugin. */
export interface RouterPlugin<Options> {
  /** In kebab-case; what `--routers` takes. */
  readonly name: string;
  /** One sentence. */
  readonly about: string;
  readonly paper: Paper;
  readonly traits: Traits;
  /** Defaults, ranges and one-line descriptions of the options. */
  readonly options: z.ZodType<Options, unknown>;
  /** K: experts a token is sent to, before anything is dropped. */
  expertsPerToken(options: Options): number;
  create(dims: RouterDims, options: Options, init: Init): Router;
}

/** A router at work in one layer. */
export interface Router {
  readonly params: Params;
  /** Values by name that routing itself moves: no gradient reaches them, and a checkpoint carries them. */
  readonly state?: Params;
  /** @param x_TD What the layer is given, f32. */
  route(x_TD: Tensor, step: RouteStep): Routing | Promise<Routing>;
}

/** What a router may know besides the tokens. */
export interface RouteStep {
  readonly training: boolean;
  /** Training step, from 0; in evaluation, how many there have been. */
  readonly step: number;
  /** A stream of this layer and step. */
  readonly random: Random;
  /** Token ids, i32 [T]. */
  readonly tokenId_T: Tensor;
  /** Tokens of one sequence; T is a multiple of it, and token t has position t mod length. */
  readonly length: number;
  /** Padding mask, f32 [T]: 1 = a real token, 0 = padding. Absent = all real. */
  readonly real_T?: Tensor;
  /** Home of each token and place of each expert. Absent = everything on one rank. */
  readonly topology?: Topology;
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
  /** Added to the training loss as they are: already weighted, shape [1] each. */
  readonly losses: Readonly<Record<string, Tensor>>;
  /** The router's distribution over experts, f32 [T, E], where it has one; for reports only. */
  readonly probability_TE?: Tensor;
}
