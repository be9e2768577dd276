// Scalars of all runs as one table for spreadsheets and data frames: a row a run, step and layer; `kind` tells evaluations
// apart. Lists (loads by expert) stay in the JSON Lines records.
import type { RunRecord } from "../training/record.ts";
import { expertsPerToken, tokensPerStep } from "./cost.ts";

/** Values by column; what a row lacks is null or absent. */
export type Row = Readonly<Record<string, string | number | null>>;

/** What a column holds. */
export type ColumnKind = "text" | "whole" | "number";

/** A table's columns, in order, and its rows. */
export interface RecordTable {
  readonly columns: Readonly<Record<string, ColumnKind>>;
  readonly rows: readonly Row[];
}

const columns: RecordTable["columns"] = {
  run: "text",
  task: "text",
  router: "text",
  control: "text",
  seed: "whole",
  kind: "text",
  step: "whole",
  layer: "whole",
  loss: "number",
  learning_rate: "number",
  gradient_norm: "number",
  dropped_share: "number",
  experts_per_token: "number",
  gate_entropy: "number",
  load_entropy: "number",
  load_coefficient_of_variation: "number",
  load_max_over_mean: "number",
  dead_experts: "whole",
  local_share: "number",
  rank_local_share: "number",
  largest_importance: "number",
  effective_importance_share: "number",
  validation_loss: "number",
  validation_perplexity: "number",
};

function rowsOf({ header, steps, evaluations }: RunRecord): Row[] {
  const run = {
    run: header.run,
    task: header.task?.name ?? null,
    router: header.router,
    control: header.control ?? null,
    seed: header.seed,
  };
  const tokens = tokensPerStep(header);
  const training = steps.flatMap((row): Row[] => {
    const step = {
      ...run,
      kind: "step",
      step: row.step,
      loss: row.loss,
      learning_rate: row.learningRate,
      gradient_norm: row.gradientNorm,
      ...Object.fromEntries(Object.entries(row.losses).map(([name, value]) => [`loss_${name}`, value])),
      ...Object.fromEntries(
        Object.entries(row.scalars ?? {}).map(([name, value]) => [`scalar_${name}`, value]),
      ),
    };
    if (row.layers.length === 0) return [step];
    const experts = tokens === null ? null : expertsPerToken(row, tokens);
    return row.layers.map((load, at) => ({
      ...step,
      layer: load.layer,
      dropped_share: load.droppedShare,
      experts_per_token: experts?.[at].experts ?? null,
      gate_entropy: load.gateEntropy,
      load_entropy: load.loadEntropy,
      load_coefficient_of_variation: load.coefficientOfVariation,
      load_max_over_mean: load.maxOverMean,
      dead_experts: load.deadExperts,
      local_share: load.localShare ?? null,
      rank_local_share: load.rankLocalShare ?? null,
      largest_importance: load.importance?.largest ?? null,
      effective_importance_share: load.importance?.effectiveShare ?? null,
    }));
  });
  const validation = evaluations.map((row): Row => ({
    ...run,
    kind: "evaluation",
    step: row.step,
    validation_loss: row.loss,
    validation_perplexity: row.perplexity,
  }));
  return [...training, ...validation];
}

/** All runs as a table; router losses and scalars get columns `loss_<name>` and `scalar_<name>` at the end. */
export function recordTable(runs: readonly RunRecord[]): RecordTable {
  const losses = new Set(runs.flatMap(({ steps }) => steps.flatMap((row) => Object.keys(row.losses))));
  const scalars = new Set(
    runs.flatMap(({ steps }) => steps.flatMap((row) => Object.keys(row.scalars ?? {}))),
  );
  const own = [
    ...[...losses].sort().map((name) => `loss_${name}`),
    ...[...scalars].sort().map((name) => `scalar_${name}`),
  ].map((name) => [name, "number"] as const);
  return { columns: { ...columns, ...Object.fromEntries(own) }, rows: runs.flatMap(rowsOf) };
}
