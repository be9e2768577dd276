// The schema of a run, with defaults, ranges and descriptions of every setting, and the types of what it gives. Options of
// plugins are left to the plugins.
import * as z from "zod";
import { type ControlName, controls } from "../models/controls.ts";
import { type Checkpointing, checkpointings } from "../tensor/checkpointing.ts";
import { type Conversion, conversions } from "../models/resize/start.ts";

/** A plugin's name with all of its options. */
export type Chosen = { readonly name: string } & Readonly<Record<string, unknown>>;

/** Settings of one layer, over the model's own. */
export interface LayerSettings {
  /** Whether the layer has attention. */
  readonly attention?: boolean | undefined;
  /** What follows attention. */
  readonly feedForward?: "dense" | "moe" | "none" | undefined;
  /** Intermediate size of a dense network. */
  readonly feedForwardWidth?: number | undefined;
  /** Experts. */
  readonly experts?: number | undefined;
  /** Intermediate size of one expert. */
  readonly expertWidth?: number | undefined;
  /** Intermediate size of the shared expert; 0 = none. */
  readonly sharedExpertWidth?: number | undefined;
  /** A router of the layer's own. */
  readonly router?: Chosen | undefined;
  /** Experts of the layer's own. */
  readonly expertKind?: Chosen | undefined;
}

/** Settings of the model; {@linkcode settingList} describes each, as those of training and placement. */
export interface ModelSettings {
  /** Hidden size D. */
  readonly width: number;
  /** Layers. */
  readonly layers: number;
  /** Attention heads; 0 = no attention. */
  readonly heads: number;
  /** Heads of keys and values, which divide heads; null = heads. */
  readonly keyValueHeads: number | null;
  /** Columns of a head that its position turns, an even number; null = the whole head. */
  readonly rotaryWidth: number | null;
  /** Intermediate size of a dense network. */
  readonly feedForwardWidth: number;
  /** Every n-th layer is a mixture of experts; 0 = none. */
  readonly moeEvery: number;
  /** Experts of a layer, at one expert a token where equalCost is set. */
  readonly experts: number;
  /** Intermediate size of an expert, at one expert a token where equalCost is set. */
  readonly expertWidth: number;
  /** Intermediate size of a network of the experts' kind that every token passes through besides; 0 = none. */
  readonly sharedExpertWidth: number;
  /** How the shared expert joins a mixture: added, or both weighed by a learned softmax of two (DeepSpeed). */
  readonly sharedExpertMix: "sum" | "learned";
  /**
   * Cut experts K times narrower into K times as many for a router that sends a token to K, so that all cost
   * the same.
   */
  readonly equalCost: boolean;
  /** RMSNorm before each part of a layer. */
  readonly norm: boolean;
  /** Add a layer's feed-forward output to what it reads. */
  readonly residual: boolean;
  /** Factor of the initial scale of projections into the residual; null = 1 / sqrt(2 layers). */
  readonly residualScale: number | null;
  /** RMSNorm before the scores. */
  readonly outputNorm: boolean;
  /** Settings of single layers, from the first, over those above. */
  readonly perLayer: readonly LayerSettings[];
}

/** Settings of training. */
export interface TrainSettings {
  /** Training steps. */
  readonly steps: number;
  /** Sequences in a batch. */
  readonly batch: number;
  /** Tokens of a sequence. */
  readonly length: number;
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Share of steps in which the rate rises. */
  readonly warmupShare: number;
  /** Last learning rate over the peak. */
  readonly endShare: number;
  /** AdamW's decay of the first moment. */
  readonly beta1: number;
  /** AdamW's decay of the second moment. */
  readonly beta2: number;
  /** AdamW's epsilon. */
  readonly epsilon: number;
  /** Decoupled weight decay of matrices. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm. */
  readonly maximumNorm: number;
  /** Validation points between the first and the last. */
  readonly evaluations: number;
  /** Batches of held-out examples, evenly spread; null = all. */
  readonly evaluationBatches: number | null;
  /** Steps from one row of the record to the next; a row takes 1 to 4 KB, in memory too. */
  readonly recordEvery: number;
  /** Held-out batches to look at, by their place: tuning sees odd ones, and even ones judge. */
  readonly evaluationPart: "all" | "even" | "odd";
  /** A layer's activations until the backward pass: kept, recomputed to the same bits, or kept as f16 (half). */
  readonly checkpointActivations: Checkpointing;
  /** A kept model whose weights training starts from; null = weights drawn from the seed. */
  readonly from: string | null;
  /**
   * What feed-forward parts that differ from those of train.from start from: experts upcycled from its dense
   * networks (copy, noise, drop), or the weights that they are drawn with (fresh); null = they may not differ.
   */
  readonly conversion: Conversion | null;
  /** Share of an expert's hidden units that the conversions noise and drop change. */
  readonly conversionShare: number;
  /**
   * Divide what upcycled experts give by the mean weight that routers give a token at the start (Nvidia's weight
   * scaling).
   */
  readonly conversionScale: boolean;
  /** A kept model whose scores the model learns from as well (distillation); null = none. */
  readonly teacher: string | null;
  /** Share of the loss that the teacher's scores have (Switch Transformer: 0.25). */
  readonly teacherShare: number;
  /**
   * Steps after which the teacher is asked no more (staged, as in Mixture-of-Students); null = it is asked to the
   * end.
   */
  readonly teacherSteps: number | null;
}

/** Where ranks stand. */
export interface PlacementSettings {
  /** Ranks the model is laid out over. */
  readonly ranks: number;
  /** Ranks that share a node. */
  readonly ranksPerNode: number;
  /** Each rank trains on its own part of the text. */
  readonly sharded: boolean;
}

/** A run, with every default filled in. */
export interface RunConfig {
  /** Task, and its options. */
  readonly task: Chosen;
  /** The model. */
  readonly model: ModelSettings;
  /** Kind of expert, and its options. */
  readonly experts: Chosen;
  /** Router, and its options. */
  readonly router: Chosen;
  /** A control that takes the router's part, at one expert a token, or null. */
  readonly control: ControlName | null;
  /** Training. */
  readonly train: TrainSettings;
  /** Where ranks stand. */
  readonly placement: PlacementSettings;
  /** Seed of initial weights, order of examples and routing noise. */
  readonly seed: number;
}

/** Whole number of at least `least`. */
const whole = (least: number) => z.number().int().min(least);
/** A plugin by name, with its options beside the name. */
const plugin = (name: string) => z.looseObject({ name: z.string().default(name) }).prefault({});

/** Plugins that a run has unless others are named. */
export const usual = {
  task: "language",
  experts: "feed-forward",
  router: "switch",
} as const;

const layer = z.strictObject({
  attention: z.boolean().optional().describe("whether the layer has attention"),
  feedForward: z.enum(["dense", "moe", "none"]).optional().describe("what follows attention"),
  feedForwardWidth: whole(1).optional().describe("intermediate size of a dense network"),
  experts: whole(1).optional().describe("experts"),
  expertWidth: whole(1).optional().describe("intermediate size of one expert"),
  sharedExpertWidth: whole(0).optional().describe("intermediate size of the shared expert; 0 = none"),
  router: z.looseObject({ name: z.string() }).optional().describe("a router of the layer's own"),
  expertKind: z.looseObject({ name: z.string() }).optional().describe("experts of the layer's own"),
});

const model = z.strictObject({
  width: whole(1).default(64).describe("hidden size D"),
  layers: whole(1).default(4).describe("layers"),
  heads: whole(0).default(2).describe("attention heads; 0 = no attention"),
  keyValueHeads: whole(1).nullable().default(null).describe(
    "heads of keys and values, which divide heads; null = heads",
  ),
  rotaryWidth: whole(2).nullable().default(null).describe(
    "columns of a head that its position turns, an even number; null = the whole head",
  ),
  feedForwardWidth: whole(1).default(256).describe("intermediate size of a dense network"),
  moeEvery: whole(0).default(2).describe("every n-th layer is a mixture of experts; 0 = none"),
  experts: whole(1).default(8).describe("experts of a layer, at one expert a token where equalCost is set"),
  expertWidth: whole(1).default(256).describe(
    "intermediate size of an expert, at one expert a token where equalCost is set",
  ),
  sharedExpertWidth: whole(0).default(0).describe(
    "intermediate size of a network of the experts' kind that every token passes through besides; 0 = none",
  ),
  sharedExpertMix: z.enum(["sum", "learned"]).default("sum").describe(
    "how the shared expert joins a mixture: added, or both weighed by a learned softmax of two (DeepSpeed)",
  ),
  equalCost: z.boolean().default(false).describe(
    "cut experts K times narrower into K times as many for a router that sends a token to K, so that all cost the same",
  ),
  norm: z.boolean().default(true).describe("RMSNorm before each part of a layer"),
  residual: z.boolean().default(true).describe("add a layer's feed-forward output to what it reads"),
  residualScale: z.number().positive().nullable().default(null).describe(
    "factor of the initial scale of projections into the residual; null = 1 / sqrt(2 layers)",
  ),
  outputNorm: z.boolean().default(true).describe("RMSNorm before the scores"),
  perLayer: z.array(layer).default([]).describe(
    "settings of single layers, from the first, over those above",
  ),
}).prefault({});

const train = z.strictObject({
  steps: whole(1).default(150).describe("training steps"),
  batch: whole(1).default(16).describe("sequences in a batch"),
  length: whole(1).default(64).describe("tokens of a sequence"),
  learningRate: z.number().positive().default(3e-3).describe("peak learning rate"),
  warmupShare: z.number().min(0).max(1).default(0.1).describe("share of steps in which the rate rises"),
  endShare: z.number().min(0).max(1).default(0.1).describe("last learning rate over the peak"),
  beta1: z.number().min(0).lt(1).default(0.9).describe("AdamW's decay of the first moment"),
  beta2: z.number().min(0).lt(1).default(0.95).describe("AdamW's decay of the second moment"),
  epsilon: z.number().positive().default(1e-8).describe("AdamW's epsilon"),
  weightDecay: z.number().min(0).default(0.1).describe("decoupled weight decay of matrices"),
  maximumNorm: z.number().positive().default(1).describe("gradients are scaled down to this norm"),
  evaluations: whole(1).default(10).describe("validation points between the first and the last"),
  evaluationBatches: whole(1).nullable().default(16).describe(
    "batches of held-out examples, evenly spread; null = all",
  ),
  evaluationPart: z.enum(["all", "even", "odd"]).default("all").describe(
    "held-out batches to look at, by their place: tuning sees odd ones, and even ones judge",
  ),
  recordEvery: whole(1).default(1).describe(
    "steps from one row of the record to the next; a row takes 1 to 4 KB, in memory too",
  ),
  checkpointActivations: z.enum(checkpointings).default("none").describe(
    "a layer's activations until the backward pass: kept, recomputed to the same bits, or kept as f16 (half)",
  ),
  from: z.string().nullable().default(null).describe(
    "a kept model whose weights training starts from; null = weights drawn from the seed",
  ),
  conversion: z.enum(conversions).nullable().default(null).describe(
    "what feed-forward parts that differ from those of train.from start from: experts upcycled from its dense networks " +
      "(copy, noise, drop), or the weights that they are drawn with (fresh); null = they may not differ",
  ),
  conversionShare: z.number().min(0).max(1).default(0.5).describe(
    "share of an expert's hidden units that the conversions noise and drop change",
  ),
  conversionScale: z.boolean().default(false).describe(
    "divide what upcycled experts give by the mean weight that routers give a token at the start (Nvidia's weight scaling)",
  ),
  teacher: z.string().nullable().default(null).describe(
    "a kept model whose scores the model learns from as well (distillation); null = none",
  ),
  teacherShare: z.number().min(0).max(1).default(0.25).describe(
    "share of the loss that the teacher's scores have (Switch Transformer: 0.25)",
  ),
  teacherSteps: whole(1).nullable().default(null).describe(
    "steps after which the teacher is asked no more (staged, as in Mixture-of-Students); null = it is asked to the end",
  ),
}).prefault({});

const placement = z.strictObject({
  ranks: whole(1).max(65536).default(1).describe("ranks the model is laid out over"),
  ranksPerNode: whole(1).default(1).describe("ranks that share a node"),
  sharded: z.boolean().default(false).describe("each rank trains on its own part of the text"),
}).prefault({});

/** Names of a layer's settings. */
export const layerSettings: readonly string[] = Object.keys(layer.shape);

/** Schema of a run, plugins' own options left to the plugins. */
export const runSchema: z.ZodType<RunConfig, unknown> = z.strictObject({
  task: plugin(usual.task).describe("task, and its options"),
  model: model.describe("the model"),
  experts: plugin(usual.experts).describe("kind of expert, and its options"),
  router: plugin(usual.router).describe("router, and its options"),
  control: z.enum(controls).nullable().default(null).describe(
    "a control that takes the router's part, at one expert a token, or null",
  ),
  train: train.describe("training"),
  placement: placement.describe("where ranks stand"),
  seed: whole(0).default(0).describe("seed of initial weights, order of examples and routing noise"),
});
