// Run records in, one self-contained HTML page out. The page is a function of what it is given: the same records, the
// same bytes.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { sample } from "./chart.ts";
import { claims } from "./claims.ts";
import { droppedShares } from "./drop_plots.ts";
import { entropies } from "./entropy_plots.ts";
import { loadHeatmaps } from "./load_plots.ts";
import { finalLosses, lossCurves } from "./loss_plots.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { counted } from "./numbers.ts";
import { page, type Section } from "./page.ts";
import { finished, type Series, seriesOf } from "./series.ts";
import { setup } from "./setup.ts";
import { examples, information } from "./specialisation_plots.ts";
import { summaryColumns, type SummaryRow, summaryRows } from "./summary.ts";
import { timePerStep } from "./time_plots.ts";

/** What a page says about where its runs come from. */
export interface ReportedExperiment {
  readonly name: string;
  /** The question, in a sentence. */
  readonly about: string;
  /** What to type to get the same records. */
  readonly command: string;
  /** As shown: `2025-11-22`. */
  readonly date: string;
}

function summaryTable(rows: readonly SummaryRow[]): Content {
  const columns = summaryColumns(rows[0].series.name, rows);
  return [
    table(
      "Routers compared",
      ["Router", ...columns.map(({ title }) => title)],
      rows.map((
        row,
      ) => [markup`${sample(row.series)}${row.series.name}`, ...columns.map((column) => column.cell(row))]),
    ),
    markup`<dl class="notes">${
      columns.map(({ title, about }) => markup`<div><dt>${title}</dt> <dd>${about}.</dd></div>`)
    }</dl>`,
    markup`<p class="meta">Load measures are means over layers and the last quarter of training.</p>`,
  ];
}

function results(series: readonly Series[], rows: readonly SummaryRow[]): Section[] {
  const specialised = series.filter(({ runs }) => runs.some(({ end }) => end.specialisation.length > 0));
  const stepped = series.filter(({ runs }) => runs.every(({ steps }) => steps.length > 0));
  const routed = stepped.filter(({ runs }) => runs.every(({ steps }) => steps[0].layers.length > 0));
  const none = markup`<p>These runs recorded nothing to show here.</p>`;
  const shown = (some: readonly Series[], of: (some: readonly Series[]) => Content): Content =>
    some.length > 0 ? of(some) : none;
  return [
    { id: "table", title: "Summary table", content: summaryTable(rows) },
    {
      id: "loss",
      title: "Loss",
      content: [shown(stepped, lossCurves), finalLosses(series)],
    },
    { id: "load", title: "Load of experts", content: shown(routed, loadHeatmaps) },
    { id: "dropped", title: "Dropped assignments", content: shown(routed, droppedShares) },
    { id: "entropy", title: "Entropy", content: shown(routed, entropies) },
    {
      id: "specialisation",
      title: "Specialisation",
      content: shown(specialised, (some) => [information(some), examples(some)]),
    },
    { id: "time", title: "Time of a step", content: timePerStep(series) },
  ];
}

/**
 * One HTML file over all runs of an experiment. Runs without an end are named and left out of all numbers.
 * @throws {RangeError} when there are no runs, or two of one name that share a seed or differ by more than it.
 */
export function renderReport(
  experiment: ReportedExperiment,
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
): string {
  const all = seriesOf(runs, timings);
  const series = finished(all);
  const rows = summaryRows(series);
  const count = runs.length - all.reduce((sum, { leftOut }) => sum + leftOut.length, 0);
  const summary: Markup = markup`<ul class="claims">${
    claims(all, rows).map((claim) => markup`<li>${claim}</li>`)
  }</ul>`;
  return page(
    {
      title: experiment.name,
      lead: experiment.about,
      meta:
        `${experiment.date} · ${counted(all.length, "router")} · ${
          counted(count, "finished run")
        } of ${runs.length} · ` +
        `${[...new Set(runs.map(({ header }) => header.steps))].join(" or ")} steps on ${
          [...new Set(runs.map(({ header }) => header.data.corpus))].join(" and ")
        }`,
    },
    summary,
    [
      ...(series.length > 0 ? results(series, rows) : []),
      { id: "setup", title: "Setup", content: setup(all, experiment.command) },
    ],
  );
}
