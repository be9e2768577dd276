// Where tokens go, by topic: for each, which share of its tokens each expert got.
import type { HeatPlot } from "../charts/heat_chart.ts";
import { percent } from "../charts/scale.ts";
import type { Run } from "../run/run.ts";
import { layerAt } from "./shown.ts";

/** Tokens by expert and label; the last row holds those that no expert took. */
export interface TopicCounts {
  readonly experts: number;
  readonly counts: readonly (readonly number[])[];
  readonly totals: readonly number[];
}

/** Counts a run's last look at a layer. */
export function countTopics({ scene, looks, header }: Run, layer: number | null): TopicCounts | null {
  if (!scene || !looks || !header) return null;
  const experts = header.experts.E;
  const counts = Array.from({ length: experts }, () => new Array<number>(scene.names.length).fill(0));
  const totals = new Array<number>(scene.names.length).fill(0);
  looks.tokens.forEach(({ layers }, token) => {
    const label = scene.label_T[token];
    if (label < 0) return;
    totals[label]++;
    for (const { expert } of layerAt(layers, layer)?.kept ?? []) counts[expert][label]++;
  });
  return { experts, counts, totals };
}

/** Class of a share: none, or one of four quarters. */
function shareClass(share: number): number {
  return share < 0.02 ? 4 : 4 + Math.min(4, Math.ceil(4 * share));
}

/** What the table of a run's topics shows. */
export function topicsPlot(run: Run, layer: number | null): HeatPlot {
  const found = countTopics(run, layer);
  const names = run.scene?.names ?? [];
  const share = (row: number, column: number) => {
    const total = found?.totals[column] ?? 0;
    return total === 0 ? 0 : found!.counts[row][column] / total;
  };
  return {
    rows: found?.experts ?? 1,
    columns: Math.max(1, names.length),
    filled: found ? names.length : 0,
    value: share,
    classOf: shareClass,
    name: (column) => names[column].replace(/^\D*/, ""),
    cell: (row, column) => share(row, column) >= 0.005 ? `${Math.round(100 * share(row, column))}` : "",
    text: (row, column) =>
      `${names[column]}, expert ${row}: ${percent(share(row, column))} of ${found!.totals[column]} tokens`,
  };
}
