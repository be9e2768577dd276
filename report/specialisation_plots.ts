// What experts took on: how much an expert tells about a token's labels (part of speech, language, topic), and examples.
import type { Specialisation } from "../training/record.ts";
import { figure, heatFigure, panel } from "./chart.ts";
import { heatChart, heatLegend, isEven } from "./heat_chart.ts";
import { intervalChart } from "./interval_chart.ts";
import { folds } from "./folds.ts";
import { type Markup, markup, table } from "./markup.ts";
import { fixed, list, missing, percent } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { wordList } from "./word_list.ts";

function layersOf(series: readonly Series[]): number[] {
  const all = series.flatMap(({ runs }) =>
    runs.flatMap(({ end }) => end.specialisation.map(({ layer }) => layer))
  );
  return [...new Set(all)].sort((a, b) => a - b);
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** Each expert's share of a kind of token over the kind's share of all tokens; null where there is no such token. */
export function lift(counts: readonly (readonly number[])[]): (number | null)[][] {
  const total = sum(counts.map(sum));
  const ofKind = (counts[0] ?? []).map((_, kind) => sum(counts.map((row) => row[kind])));
  return counts.map((row) => {
    const taken = sum(row);
    return row.map((count, kind) =>
      taken > 0 && ofKind[kind] > 0 ? count * total / (taken * ofKind[kind]) : null
    );
  });
}

/** Mutual information of expert with each kind of label. */
export function information(series: readonly Series[]): Markup {
  const names = new Set(
    series.flatMap(({ runs }) =>
      runs.flatMap(({ end }) => end.specialisation.flatMap(({ labels }) => labels.map(({ name }) => name)))
    ),
  );
  const kinds = [...names].map((name) => ({
    name,
    of: ({ labels }: Specialisation): number[] =>
      labels.filter((label) => label.name === name).map(({ information }) => information),
  }));
  const panels = layersOf(series).flatMap((layer) =>
    kinds.map(({ name, of }) =>
      panel(
        `Layer ${layer}: expert and ${name}`,
        intervalChart(
          `Mutual information of expert with ${name} in layer ${layer}, by router`,
          { name: "nats", fromZero: true },
          series.map((each) => ({
            series: each,
            values: each.runs.flatMap(({ end }) =>
              end.specialisation.filter((found) => found.layer === layer).flatMap(of)
            ),
          })),
        ),
      )
    )
  );
  const experts = [
    ...new Set(
      series.flatMap(({ runs }) =>
        runs.flatMap(({ end }) => end.specialisation.map(({ words }) => words.length))
      ),
    ),
  ].filter((count) => count > 0);
  return figure(
    "What an expert tells about its tokens",
    markup`Mutual information of the expert a token went to with ${
      list([...names].map((name) => `its ${name}`))
    }, over held-out examples, with the bias of finite counts removed (Miller–Madow): 0 is no specialisation${
      experts.length > 0
        ? `, ln E = ${list(experts.map((count) => fixed(Math.log(count), 2)))} is an upper limit`
        : ""
    }. Rings are seeds, the bar is the 95% interval of their mean.`,
    panels,
  );
}

/** First experts that every token goes to in a layer of a run. */
function sharedIn({ steps }: FinishedRun, layer: number): number {
  return steps[0]?.layers.find((each) => each.layer === layer)?.shared ?? 0;
}

function words({ name, runs: [run] }: Series, found: Specialisation): Markup | null {
  if (found.words.every((words) => words.length === 0)) return null;
  const taken = (found.labels[0]?.counts ?? []).map(sum);
  const total = sum(taken);
  const rows = found.words.map((words, expert) => [
    expert,
    total > 0 ? percent((taken[expert] ?? 0) / total) : missing,
    wordList(words),
  ]);
  return markup`<div>${
    table(
      `${name}, layer ${found.layer}: words`,
      ["Expert", "Tokens", "Words it takes most above their share"],
      rows.slice(sharedIn(run, found.layer)),
      "text",
    )
  }</div>`;
}

/** One router's heatmaps and words. */
function taken(each: Series): Markup {
  const [run] = each.runs;
  const maps = run.end.specialisation.flatMap(({ layer, labels }) =>
    labels.map(({ name, names, counts }) => ({
      layer,
      name,
      names,
      ratios: lift(counts).slice(sharedIn(run, layer)),
      shared: sharedIn(run, layer),
    }))
  );
  const drawn = maps.filter(({ ratios }) => !isEven(ratios)).map(({ layer, name, names, ratios, shared }) =>
    panel(
      `Layer ${layer}: ${name}`,
      heatChart(
        `Expert by ${name}, ${each.name}, layer ${layer}`,
        ratios,
        {
          label: null,
          count: names.length,
          ticks: names.map((label, at) => ({ at: at + 0.5, name: label })),
          slanted: true,
        },
        20,
        shared,
      ),
    )
  );
  const even = maps.filter(({ ratios }) => isEven(ratios)).map(({ layer, name }) =>
    `layer ${layer}, ${name}`
  );
  const tables = run.end.specialisation.flatMap((found) => words(each, found) ?? []);
  return markup`${
    heatFigure(
      null,
      even.length > 0 ? markup`As overall in every cell, and so not drawn: ${even.join("; ")}.` : null,
      drawn,
      null,
    )
  }${tables.length > 0 ? markup`<div class="grid">${tables}</div>` : null}`;
}

/** Heatmaps of expert by label, and example words, of the first seed. */
export function examples(series: readonly Series[]): Markup {
  const seeds = [...new Set(series.map(({ runs }) => runs[0].header.seed))];
  return markup`<h3>What experts took</h3><p class="meta">${
    seeds.length === 1 ? `Seed ${seeds[0]}` : "The first finished seed of each"
  }, kept tokens of held-out examples. Colour: the share of a label among an expert's tokens, as a multiple of its share among
all tokens. A dash is an expert without tokens or words above their share. Experts that every token goes to are left out.</p>${
    heatLegend("as overall")
  }${folds(series, taken)}`;
}
