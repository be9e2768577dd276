// What has come of a run so far, kept from what its worker says.
import type { EndRow, EvaluationRow, RecordRow, RunHeader, StepRow } from "../../training/record.ts";
import type { Problem } from "../own/problem.ts";
import type { FromRun, Looks } from "./messages.ts";

/** Where a run stands. */
export type RunStage = "starting" | "training" | "paused" | "done" | "stopped" | "failed";

/** What has come of a run. */
export interface Progress {
  readonly stage: RunStage;
  /** Why it failed. */
  readonly problem: Problem | null;
  /** What it computes on, and what falls short there. */
  readonly device: string;
  readonly notes: readonly string[];
  readonly header: RunHeader | null;
  readonly steps: readonly StepRow[];
  readonly evaluations: readonly EvaluationRow[];
  readonly end: EndRow | null;
  /** All rows in the record's order. */
  readonly rows: readonly RecordRow[];
  readonly looks: Looks | null;
}

/** Progress that is still being made. */
export interface OpenProgress extends Progress {
  stage: RunStage;
  problem: Problem | null;
  device: string;
  notes: readonly string[];
  header: RunHeader | null;
  readonly steps: StepRow[];
  readonly evaluations: EvaluationRow[];
  end: EndRow | null;
  readonly rows: RecordRow[];
  looks: Looks | null;
}

/** Nothing yet. */
export function noProgress(): OpenProgress {
  return {
    stage: "starting",
    problem: null,
    device: "",
    notes: [],
    header: null,
    steps: [],
    evaluations: [],
    end: null,
    rows: [],
    looks: null,
  };
}

/** True while a run can go on. */
export function isOpen({ stage }: Pick<Progress, "stage">): boolean {
  return stage === "starting" || stage === "training" || stage === "paused";
}

/** Takes what a worker says. @param turn The page's last turn: word of a rest in an earlier one comes late. */
export function takeMessage(
  progress: OpenProgress,
  message: FromRun,
  turn: number,
): void {
  switch (message.kind) {
    case "opened":
      progress.device = message.device;
      progress.notes = message.notes;
      break;
    case "rows":
      if (progress.stage === "starting") progress.stage = "training";
      for (const row of message.rows) keepRow(progress, row);
      break;
    case "looks":
      progress.looks = message;
      break;
    case "paused":
      if (message.turn === turn) progress.stage = "paused";
      break;
    case "done":
      progress.stage = "done";
      break;
    case "failed":
      progress.stage = "failed";
      progress.problem = message;
  }
}

function keepRow(progress: OpenProgress, row: RecordRow): void {
  progress.rows.push(row);
  if (row.kind === "step") progress.steps.push(row);
  else if (row.kind === "evaluation") progress.evaluations.push(row);
  else if (row.kind === "end") progress.end = row;
  else progress.header = row;
}
