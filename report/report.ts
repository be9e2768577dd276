// Run records in, one self-contained HTML page out. The page is a function of what it is given: the same records, the
// same bytes.
import type { RunRecord, TimingRecord } from "../training/record.ts";
import { answerRows, answerTable } from "./answers.ts";
import { type Claims, claims, judgings, type Reading, ruleOf } from "./claims.ts";
import { choiceMaps } from "./choice_maps.ts";
import { choiceFigures, choiceLines, hasChoices } from "./choice_plots.ts";
import { costs } from "./cost_plots.ts";
import { droppedShares } from "./drop_plots.ts";
import { endTable, hasEnd } from "./end_table.ts";
import { entropies } from "./entropy_plots.ts";
import { facts } from "./facts.ts";
import { loadHeatmaps } from "./load_plots.ts";
import { finalLosses, lossCurves } from "./loss_plots.ts";
import { sample } from "./sample.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { counted } from "./numbers.ts";
import { page, type Section } from "./page.ts";
import { promotedWords } from "./promoted_words.ts";
import { scalarNames, scalars } from "./scalar_plots.ts";
import { scoreChart } from "./score_chart.ts";
import type { Series } from "./series.ts";
import { signals } from "./signal_plots.ts";
import { setup } from "./setup.ts";
import { examples, information } from "./specialisation_plots.ts";
import { type SummaryColumn, summaryColumns, type SummaryRow, summaryRows } from "./summary.ts";
import { timePerStep } from "./time_plots.ts";
import { isJudged, type Judging } from "./verdicts.ts";

/** What a page says about where its runs come from, and how they are to be read. */
export interface ReportedExperiment extends Reading {
  readonly name: string;
  /** The question, in a sentence. */
  readonly about: string;
  /** What to type to get the same records. */
  readonly command: string;
  /** As shown: `2025-11-22`. */
  readonly date: string;
  /** Runs that were asked for; as many as there are records when left out. */
  readonly planned?: number | undefined;
  /** What to type to go on, while runs are left. */
  readonly goOn?: string | undefined;
  /** Files beside the page, by what they are called, with paths from it. */
  readonly files?: readonly { readonly name: string; readonly path: string }[] | undefined;
}

function summaryTable(judging: Judging, rows: readonly SummaryRow[]): Content {
  const columns = summaryColumns(judging.comparison.baselineName, rows);
  const part = (caption: string, which: SummaryColumn["part"]): Markup => {
    const shown = columns.filter(({ part }) => part === which);
    const cells = shown.map((column) => column.cells(rows));
    return table(
      caption,
      ["Router", ...shown.map(({ title }) => title)],
      rows.map(({ series }, at) => [named(series), ...cells.map((column) => column[at])]),
    );
  };
  return [
    part("Routers and controls compared", "loss"),
    part("Their loads and speed", "load"),
    sentences("facts", facts(rows)),
    markup`<dl class="notes">${
      columns.map(({ title, about }) => markup`<div><dt>${title}</dt> <dd>${about}.</dd></div>`)
    }</dl>`,
    markup`<p class="meta">${
      isJudged(judging)
        ? "Routers stand best first, those that spend more than they may behind the others; controls come last. "
        : ""
    }Load measures are means over layers and the last quarter of training; experts that every token goes to are left out
of them.</p>`,
  ];
}

function named(series: Series): Markup {
  return markup`${sample(series)}${series.name}`;
}

function sentences(kind: string, said: readonly string[]): Markup | null {
  return said.length === 0
    ? null
    : markup`<ul class="claims ${kind}">${said.map((one) => markup`<li>${one}</li>`)}</ul>`;
}

/** Sections of one task, named after it where the page holds several. */
function results(judging: Judging, tasks: number): Section[] {
  const { comparison, worth } = judging;
  const { series, routers, baseline, task } = comparison;
  const rows = summaryRows(comparison, worth);
  const stepped = series.filter(({ runs }) => runs.every(({ steps }) => steps.length > 0));
  const routed = stepped.filter(({ control, runs }) =>
    control === null && runs.every(({ steps }) => steps[0].layers.length > 0)
  );
  const specialised = routers.filter(({ runs }) => runs.some(({ end }) => end.specialisation.length > 0));
  const answers = answerRows(judging);
  const none = markup`<p>These runs recorded nothing to show here.</p>`;
  const shown = (some: readonly Series[], of: (some: readonly Series[]) => Content): Content =>
    some.length > 0 ? of(some) : none;
  const sections: Section[] = [
    { id: "table", title: "Summary table", content: summaryTable(judging, rows) },
    { id: "cost", title: "Cost", content: shown(stepped, costs) },
    {
      id: "loss",
      title: "Loss",
      content: [shown(stepped, (some) => lossCurves(some, baseline)), finalLosses(series, baseline)],
    },
    ...(answers.length > 0
      ? [{ id: "answers", title: "Right answers", content: answerTable(answers, comparison.baselineName) }]
      : []),
    { id: "training", title: "Training", content: shown(stepped, signals) },
    { id: "load", title: "Load of experts", content: shown(routed, (some) => loadHeatmaps(some, tasks)) },
    { id: "dropped", title: "Dropped assignments", content: shown(routed, droppedShares) },
    { id: "entropy", title: "Entropy", content: shown(routed, entropies) },
    ...(hasChoices(routers)
      ? [{
        id: "choices",
        title: "Choices",
        content: [choiceLines(routers), choiceFigures(routers), choiceMaps(routers)],
      }]
      : []),
    {
      id: "specialisation",
      title: "Specialisation",
      content: [
        shown(specialised, (some) => [information(some), examples(some)]),
        promotedWords(routers, series.find(({ control }) => control === "random routing")),
      ],
    },
    ...(hasEnd(routers) ? [{ id: "trained", title: "Trained models", content: endTable(routers) }] : []),
    ...(scalarNames(routers).length > 0
      ? [{ id: "logged", title: "Logged by routers", content: scalars(routers) }]
      : []),
    { id: "time", title: "Time of a step", content: timePerStep(series) },
  ];
  if (tasks === 1) return sections;
  const part = task?.name ?? "Without a task";
  return sections.map((section) => ({
    ...section,
    part,
    id: `${part.replaceAll(/[^a-zA-Z0-9]+/g, "-")}-${section.id}`,
  }));
}

function summary(all: readonly Judging[], said: Claims): Content {
  const judged = all.filter(({ comparison }) => comparison.series.length > 0);
  return [
    sentences("warnings", said.warnings),
    sentences("worth", said.worth),
    judged.every(({ worth }) => worth.experts === null)
      ? null
      : markup`<p class="meta">Experts: loss without experts minus that of the best known routing. Routing: loss of
random routing minus the same. Means over seeds with paired 95% intervals.</p>`,
    scoreChart(judged),
    sentences("verdicts", said.verdicts),
    markup`<p class="meta">${ruleOf(all[0].judgement)}</p>`,
    sentences("left-out", said.leftOut),
  ];
}

/** Tasks, or corpora where records name no task. */
function whereOf(all: readonly Judging[]): string {
  return [
    ...new Set(
      all.flatMap(({ comparison: { task, all: series } }) =>
        task ? [task.name] : series.map(({ header }) => header.data.corpus)
      ),
    ),
  ].join("; "); // names of tasks may hold commas
}

/** How far a command is, while runs are left. */
function soFar({ goOn }: ReportedExperiment, finished: number, planned: number): Content {
  if (finished === planned || goOn === undefined) return null;
  return markup`<p>${finished} of ${planned} runs have ended; this page is written anew as more do. To go on after a stop:</p>
<pre class="scroll" tabindex="0" aria-label="Command to go on">${goOn}</pre>`;
}

/** The page before any run has ended. */
function firstPage(experiment: ReportedExperiment): string {
  const { name, about, command, date, planned = 0 } = experiment;
  return page(
    { title: name, lead: about, meta: `${date} · ${counted(planned, "run")} to go` },
    [markup`<p>No run has ended yet.</p>`, soFar(experiment, 0, planned)],
    [{
      id: "setup",
      title: "Setup",
      content: markup`<pre class="scroll" tabindex="0" aria-label="Command">${command}</pre>`,
    }],
  );
}

/**
 * One HTML file over all runs of an experiment: what experts are worth on each task, how well routers route, verdicts, then
 * each task in detail. Runs without an end are named and left out of all numbers; without any run it says how to go on.
 * @throws {RangeError} when two runs of one name share a seed or differ by more than it, a control comes twice,
 * or no router has the baseline's name.
 */
export function renderReport(
  experiment: ReportedExperiment,
  runs: readonly RunRecord[],
  timings: readonly TimingRecord[],
): string {
  if (runs.length === 0) return firstPage(experiment);
  const all = judgings(runs, timings, experiment);
  const done = all.filter(({ comparison }) => comparison.series.length > 0);
  const series = all.flatMap(({ comparison }) => comparison.all);
  const routers = new Set(series.filter(({ control }) => control === null).map(({ name }) => name));
  const { planned = runs.length } = experiment;
  const count = runs.length - series.reduce((sum, { leftOut }) => sum + leftOut.length, 0);
  return page(
    {
      title: experiment.name,
      lead: experiment.about,
      meta:
        `${experiment.date} · ${counted(routers.size, "router")} · ${
          counted(count, "finished run")
        } of ${planned} · ` +
        `${[...new Set(runs.map(({ header }) => header.steps))].join(" or ")} steps on ${whereOf(all)}`,
    },
    [soFar(experiment, count, planned), summary(all, claims(all, experiment))],
    [
      ...done.flatMap((judging) => results(judging, all.length)),
      {
        id: "setup",
        title: "Setup",
        content: setup(all.map(({ comparison }) => comparison), experiment),
      },
    ],
  );
}
