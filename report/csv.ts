// Scalars of all runs for spreadsheets and data frames: a row a run, step and layer; `kind` tells evaluations apart.
// Lists (loads by expert) stay in the JSON Lines records.
import { stringify } from "csv-stringify/sync";
import type { RunRecord } from "../training/record.ts";
import { expertsPerToken, tokensPerStep } from "./cost.ts";

type Row = Readonly<Record<string, string | number | null>>;

const columns = [
  "run",
  "task",
  "router",
  "control",
  "seed",
  "kind",
  "step",
  "layer",
  "loss",
  "learning_rate",
  "gradient_norm",
  "dropped_share",
  "experts_per_token",
  "gate_entropy",
  "load_entropy",
  "load_coefficient_of_variation",
  "load_max_over_mean",
  "dead_experts",
  "local_share",
  "rank_local_share",
  "largest_importance",
  "effective_importance_share",
  "validation_loss",
  "validation_perplexity",
] as const;

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

/** All runs as CSV with a header line; router losses and scalars get columns `loss_<name>` and `scalar_<name>` at the end. */
export function stepsCsv(runs: readonly RunRecord[]): string {
  const losses = new Set(runs.flatMap(({ steps }) => steps.flatMap((row) => Object.keys(row.losses))));
  const scalars = new Set(
    runs.flatMap(({ steps }) => steps.flatMap((row) => Object.keys(row.scalars ?? {}))),
  );
  return stringify(runs.flatMap(rowsOf), {
    header: true,
    columns: [
      ...columns,
      ...[...losses].sort().map((name) => `loss_${name}`),
      ...[...scalars].sort().map((name) => `scalar_${name}`),
    ],
    // A name that opens with "=" would run as a formula in a spreadsheet.
    escape_formulas: true,
  });
}
