// How an experiment is judged: written in its file before it runs, so that the data have no say in it.
import type { FinishedRun } from "./series.ts";

/** A number of a finished run that an experiment may be judged by. */
export interface Metric {
  /** As in a sentence: "final validation loss". */
  readonly name: string;
  /** After a number; empty for a share. */
  readonly unit: string;
  /** Whether it tells how well a router routes, so that only controls give it a meaning. */
  readonly needsControls: boolean;
  /** Null where a run has none. */
  of(run: FinishedRun): number | null;
}

function meanLocalShare({ steps }: FinishedRun): number | null {
  const shares = steps.slice(Math.floor(steps.length * 3 / 4)).flatMap(({ layers }) =>
    layers.flatMap(({ localShare }) => localShare ?? [])
  );
  return shares.length === 0 ? null : shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** What an experiment may be judged by, by name. */
export const metrics = {
  loss: { name: "final validation loss", unit: "nats", needsControls: true, of: ({ end }) => end.loss },
  droppedShare: {
    name: "share of assignments dropped in training",
    unit: "",
    needsControls: false,
    of: ({ end }) => 1 - end.keptShare,
  },
  localShare: {
    name: "share of assignments on the token's own node in the last quarter of training",
    unit: "",
    needsControls: false,
    of: meanLocalShare,
  },
} satisfies Record<string, Metric>;

/** How an experiment is judged. */
export interface Judgement {
  readonly metric: keyof typeof metrics;
  /** Which way is better. */
  readonly direction: "lower" | "higher";
  /** Largest difference, in the metric's unit, that still counts as equal; null when equality is not claimed. */
  readonly margin: number | null;
  /** What the experiment tests, as a sentence. */
  readonly claim: string;
}

/** How an experiment that says nothing else is judged. */
export const usualJudgement: Judgement = {
  metric: "loss",
  direction: "lower",
  margin: null,
  claim: "Routers differ in how well they route.",
};
