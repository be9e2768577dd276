// What a run leaves behind, line by line. Everything here is a function of the command and the seed: on one JavaScript
// engine two runs of the same command write the same bytes. What is not (seconds, threads) goes to a timing record.
import type { Arithmetic, QueueCounts } from "../kernels/kernel.ts";
import type { ControlName } from "../models/controls.ts";
import type { Load } from "../moe/load.ts";
import type { LayerChoices, PointChoices } from "./choice_record.ts";
import type { RunConfig } from "./config.ts";
import type { Importance } from "./importance.ts";

export {
  type ChoiceFlow,
  type LayerChoices,
  marginBins,
  nearTie,
  type PointChoices,
} from "./choice_record.ts";

/** How one MoE layer routed in one step. */
export interface LayerLoad extends Load {
  /** Block the layer sits in, counted from 0. */
  readonly layer: number;
  /** Importance weights, in training of routers that sample. */
  readonly importance?: Importance;
}

/** What a comparison runs beside the routers under study, to learn what routing is worth there. */
export type Control = ControlName;

/** Forward FLOPs of a token. */
export interface RunFlop {
  /** All but experts and routers. */
  readonly dense: number;
  /** One expert in one mixture, the mean. */
  readonly expert: number;
  /** Each expert of each mixture, where they differ. */
  readonly byExpert?: readonly (readonly number[])[];
  /** All routers' own. */
  readonly router: number | null;
}

/** First line of a record. */
export interface RunHeader {
  /** Tells it from other rows. */
  readonly kind: "run";
  /** Version of what follows; absent in records from before there were configs, which say less. */
  readonly schema?: 3;
  /** What decides the run's result, as given to the trainer. */
  readonly config?: RunConfig;
  /** Identifies config and task content: equal digests, equal runs on equal arithmetic. */
  readonly digest?: string;
  /** Name of the task, what it is called here, and the digest of its content. */
  readonly task?: { readonly name: string; readonly about: string; readonly digest: string };
  /** The control that took the router's part; absent for a router under study. */
  readonly control?: Control;
  /** What sets the run apart from the other arms of its task, but for its router: `train.steps=60`. Absent = nothing. */
  readonly setting?: string;
  /** Tokens of a training step. */
  readonly tokensPerStep?: number;
  /** Experts a token is sent to, as the router declares, the mean over mixtures. */
  readonly expertsPerToken?: number;
  /** Forward FLOPs of a token. */
  readonly flop?: RunFlop;
  /** File name without ending: `switch-seed0`. */
  readonly run: string;
  /** What is compared: a router's name, with what sets it apart where one router runs several ways. */
  readonly router: string;
  /** Name of the router plugin. */
  readonly plugin: string;
  /** False when a later token may change what an earlier one gets: perplexity then sees the future. Absent = true. */
  readonly causal?: boolean;
  /** The router's options, with defaults filled in. */
  readonly routerOptions: Readonly<Record<string, unknown>>;
  /** Seed of the run. */
  readonly seed: number;
  /** Training steps planned. */
  readonly steps: number;
  /** Name of the size; empty where settings were given one by one. */
  readonly size: string;
  /** Settings of the model by name. */
  readonly model: Readonly<Record<string, number | string | boolean>>;
  /** Experts of a layer, choices of a token, hidden units of an expert, and how experts store what they multiply. */
  readonly experts: {
    readonly E: number;
    readonly K: number;
    readonly F: number;
    readonly precision: "full" | "half";
  };
  /** What it was trained on. */
  readonly data: {
    readonly corpus: string;
    /** Rows of the input: words, bytes, keys. */
    readonly vocabulary: number;
    readonly facts: Readonly<Record<string, number>>;
    /** Losses that need no model: chance, word frequencies. */
    readonly references: readonly { readonly name: string; readonly loss: number }[];
  };
  /** Floating-point operations of one token's forward pass at K experts per token, nothing dropped. */
  readonly activeFlopPerToken: number;
  /** Weights: all, the routers' own, and those one token passes through. */
  readonly parameters: { readonly total: number; readonly router: number; readonly active: number };
  /** Fingerprint of all initial weights outside routers: equal runs start equal. */
  readonly initialWeights: string;
  /** Fingerprint of the teacher's weights; absent without one. */
  readonly teacherWeights?: string;
  /** Arithmetic that decides the bits. */
  readonly arithmetic: Arithmetic;
  /** Version of the package. */
  readonly version: string;
}

/** One training step. */
export interface StepRow {
  /** Tells it from other rows. */
  readonly kind: "step";
  /** Step, from 0. */
  readonly step: number;
  /** Mean cross-entropy per token, nats. */
  readonly loss: number;
  /** Router losses by name, as added to the loss. */
  readonly losses: Readonly<Record<string, number>>;
  /** Learning rate of the update. */
  readonly learningRate: number;
  /** Norm of all gradients before clipping. */
  readonly gradientNorm: number;
  /** How each mixture routed. */
  readonly layers: readonly LayerLoad[];
  /** What routers logged, by name. */
  readonly scalars?: Readonly<Record<string, number>>;
}

/** One pass over held-out examples. */
export interface EvaluationRow {
  /** Tells it from other rows. */
  readonly kind: "evaluation";
  /** Steps taken. */
  readonly step: number;
  /** Mean loss of a token, nats or squared error. */
  readonly loss: number;
  /** exp(loss). */
  readonly perplexity: number;
  /** Tokens that the mean is over. */
  readonly tokens: number;
  /** Load in evaluation, by mixture. */
  readonly layers?: readonly LayerLoad[];
  /** How decidedly mixtures chose, and who changed expert since the point before; absent before schema 3. */
  readonly choices?: readonly PointChoices[];
}

/** What experts of one layer took on, counted over held-out examples. */
export interface Specialisation {
  /** Place of the layer, counted from 0. */
  readonly layer: number;
  /** By kind of label. */
  readonly labels: readonly LabelCounts[];
  /** Up to eight words an expert takes most above their share, by expert. */
  readonly words: readonly (readonly string[])[];
}

/** Experts against one kind of label. */
export interface LabelCounts {
  /** In the singular: "part of speech". */
  readonly name: string;
  /** What each label is called. */
  readonly names: readonly string[];
  /** [expert][label], tokens kept. */
  readonly counts: readonly (readonly number[])[];
  /** Mutual information of expert with label, nats, with the bias of finite counts removed (Miller-Madow). */
  readonly information: number;
}

/** Which held-out tokens a model answers right: those whose class has the highest score. */
export interface Answers {
  /** How many are right. */
  readonly right: number;
  /** Tokens with a target, those of `loss`. */
  readonly of: number;
  /** A bit a token with a target, 1 = right, in order of evaluation, from each byte's highest; base64. */
  readonly bits: string;
}

/** Last line of a finished run. */
export interface EndRow {
  /** Tells it from other rows. */
  readonly kind: "end";
  /** Steps taken. */
  readonly step: number;
  /** Over the same examples as every evaluation. */
  readonly loss: number;
  /** exp(loss). */
  readonly perplexity: number;
  /** Largest gradient norm in training of the router parameter that got least; null for routers without parameters. */
  readonly routerGradient: number | null;
  /** Share of assignments dropped in training by position in the sequence. */
  readonly droppedShareByPosition: readonly number[];
  /** Share of planned expert work that was done (1 - dropped), over training. */
  readonly keptShare: number;
  /** Load in evaluation, by mixture. */
  readonly layers?: readonly LayerLoad[];
  /** Root mean square of a mixture's output over that of the sum with what it reads, by mixture. */
  readonly residualShare?: readonly number[];
  /** Whether later tokens were seen to change what earlier ones get; not tested where tokens have no order. */
  readonly causal?: { readonly tested: boolean; readonly holds: boolean };
  /** Right answers, where targets are classes. */
  readonly answers?: Answers;
  /** Loss with the assignment of training, for routers that evaluate with another. */
  readonly trainingAssignmentLoss?: number;
  /** What experts took on, by mixture. */
  readonly specialisation: readonly Specialisation[];
  /** Margins, experts that share tokens, and flow to the next mixture; absent before schema 3. */
  readonly choices?: readonly LayerChoices[];
}

/** One line of a record. */
export type RecordRow = RunHeader | StepRow | EvaluationRow | EndRow;

/** A run's deterministic record. */
export interface RunRecord {
  /** First row. */
  readonly header: RunHeader;
  /** One row a training step. */
  readonly steps: readonly StepRow[];
  /** One row a validation point. */
  readonly evaluations: readonly EvaluationRow[];
  /** Last row; null for a run that was stopped. */
  readonly end: EndRow | null;
}

/** Work handed to a device in one step. */
export interface StepQueue extends Omit<QueueCounts, "waitSeconds"> {
  /** Dispatches by the stage that asked for them, those of its gradients included; they add up to all. */
  readonly dispatchesByStage: Readonly<Record<string, number>>;
}

/** Seconds and memory of one step. */
export interface StepTiming {
  /** Step, from 0. */
  readonly step: number;
  /** Seconds in all. */
  readonly seconds: number;
  /** By stage; `rest` is what no stage claims. */
  readonly stages: Readonly<Record<string, number>>;
  /** The same by pass, then stage; absent in records from before passes were told apart. */
  readonly passes?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Seconds that were not spent waiting for the device, on backends that queue: what the program itself takes to say what
   * is to be computed. Absent in records from before it was measured.
   */
  readonly hostSeconds?: number;
  /**
   * The most bytes that arrays took at once: weights, moments, activations, gradients. The same on every machine; absent in
   * records from before it was counted.
   */
  readonly peakBytes?: number;
  /** What was handed to the device, on backends that queue. */
  readonly queue?: StepQueue;
}

/** What a run was timed on. */
export interface Machine {
  /** Threads of the backend. */
  readonly threads: number;
  /** What it ran on. */
  readonly machine: string;
  /** The BLAS that products ran on and how fast it was measured to be; absent where they ran on none. */
  readonly blas?: string | undefined;
}

/** A run's timing record: what differs between two runs of one command. */
export interface TimingRecord extends Machine {
  /** Name of the run. */
  readonly run: string;
  /** Where a run went on that was stopped, from which step; absent where that is where it began. */
  readonly resumed?: readonly (Machine & { readonly step: number })[];
  /** One entry a training step. */
  readonly steps: readonly StepTiming[];
}

/** Stages of a mixture. */
export const mixtureStages = ["route", "dispatch", "experts", "combine"] as const;

/**
 * Stages a step is split into, in its order; those of parts that a model lacks are absent. `norm` is the one before a
 * feed-forward part. `rest` is what none claims: adding losses up, and walking the tape.
 */
export const stages = [
  ...["batch", "embedding", "attention", "norm", "dense"] as const,
  ...mixtureStages,
  ...["output", "optimizer", "reading", "rest"] as const,
] as const;

/** Passes a step goes through them in; `reading` is waiting for what the record keeps. */
export const passes = ["forward", "backward", "optimizer", "reading"] as const;
