// How decidedly routers choose on held-out examples: margins between first and second choice, near ties and tokens that
// change expert while training goes on, and in trained models how much passes from one mixture to the next and how evenly
// experts share tokens.
import { type LayerChoices, marginBins, nearTie, type PointChoices } from "../training/record.ts";
import { figure, panel } from "./chart.ts";
import { plusMinusColumn } from "./columns.ts";
import { curve, type Line, type Sample } from "./curves.ts";
import { intervalChart } from "./interval_chart.ts";
import { linePanel } from "./line_chart.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { list, missing } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { estimate, mean } from "./statistics.ts";

/** Whether any run recorded choices; records from before schema 3 hold none. */
export function hasChoices(series: readonly Series[]): boolean {
  return series.some(({ runs }) => runs.some(({ end }) => (end.choices ?? []).length > 0));
}

/** Points that some run has a value at, with the mean over mixtures; every point of validation is a point of the line. */
function overSteps(
  series: readonly Series[],
  valueOf: (choices: PointChoices) => number | null | undefined,
): Line[] {
  const samples = ({ evaluations }: FinishedRun): Sample[] =>
    evaluations.map(({ step, choices = [] }) => {
      const values = choices.map(valueOf).filter((value) => value !== null && value !== undefined);
      return { step, value: values.length === 0 ? null : mean(values) };
    });
  return series.map((each) => ({ series: each, points: curve(each.runs.map(samples), 1) }))
    .filter(({ points }) => points.length > 0);
}

/** Share of tokens with at most a margin, mean over mixtures, at the upper ends of bins. */
export function marginShares(choices: readonly LayerChoices[]): Sample[] {
  const layers = choices.flatMap(({ margins }) => margins ? [margins] : []);
  if (layers.length === 0) return [];
  const shares = layers.map((margins) => {
    const all = margins.reduce((sum, count) => sum + count, 0);
    let below = 0;
    return margins.map((count) => (below += count) / all);
  });
  return Array.from(
    { length: marginBins },
    (_, bin) => ({ step: (bin + 1) / marginBins, value: mean(shares.map((each) => each[bin])) }),
  );
}

function byMargin(series: readonly Series[]): Line[] {
  // Places of points count in bins, so that each bin is a point.
  return series.map((each) => ({
    series: each,
    points: curve(
      each.runs.map(({ end }) =>
        marginShares(end.choices ?? []).map(({ value }, bin) => ({ step: bin, value }))
      ),
      1,
    ).map((point) => ({ ...point, step: (point.step + 1) / marginBins })),
  })).filter(({ points }) => points.length > 0);
}

/** Margins, near ties and changes of expert, a line a router. */
export function choiceLines(series: readonly Series[]): Markup {
  const margins = byMargin(series);
  const without = series.filter((each) => !margins.some((line) => line.series === each)).map(({ name }) =>
    name
  );
  const share = { percent: true, fromZero: true };
  const changed = overSteps(series, (choices) => choices.changed);
  return figure(
    null,
    markup`On held-out examples, means over mixtures; bands reach from the lowest to the highest seed. Margin: a token's largest
probability minus its second. Near tie: a margin below ${nearTie}, where the choice was nearly another. Changed expert: tokens whose
expert, the one that weighs most, differs from that at the validation point before; having no expert counts as one.${
      without.length > 0 ? ` No distribution, so no margin: ${list(without)}.` : ""
    }`,
    [
      margins.length === 0 ? null : linePanel(
        "Tokens with at most this margin, at the end",
        "Share of tokens with at most each margin at the end, a line a router",
        { x: "margin", y: "share of tokens", ...share },
        margins,
      ),
      margins.length === 0 ? null : linePanel(
        "Near ties over steps",
        "Share of tokens that are near ties over steps, a line a router",
        { y: "share of tokens", ...share },
        overSteps(series, ({ nearTies }) => nearTies),
      ),
      changed.length === 0 ? null : linePanel(
        "Changed expert since the last validation point",
        "Share of tokens that changed expert over steps, a line a router",
        { y: "share of tokens", ...share },
        changed,
      ),
    ],
  );
}

/** Entropy of pairs of experts over that of equally frequent ones: 1 = all pairs alike, 0 = one pair. Null without pairs. */
export function pairEvenness({ together, shared }: LayerChoices): number | null {
  if (!together) return null;
  const pairs = together.flatMap((row, a) => row.filter((_, b) => b > a && a >= shared));
  const all = pairs.reduce((sum, count) => sum + count, 0);
  if (pairs.length < 2 || all === 0) return null;
  const entropy = pairs.reduce(
    (sum, count) => count === 0 ? sum : sum - count / all * Math.log(count / all),
    0,
  );
  return entropy / Math.log(pairs.length);
}

function meanOver(run: FinishedRun, valueOf: (layer: LayerChoices) => number | null): number[] {
  const values = (run.end.choices ?? []).map(valueOf).filter((value) => value !== null);
  return values.length === 0 ? [] : [mean(values)];
}

/** A row a router, a column a place in the model: what single mixtures say, where there are several. */
function byPlace(
  caption: string,
  series: readonly Series[],
  valueOf: (layer: LayerChoices) => number | null,
  nameOf: (layer: LayerChoices) => string,
): Markup | null {
  const found = (run: FinishedRun) => (run.end.choices ?? []).filter((layer) => valueOf(layer) !== null);
  const places = [...new Set(series.flatMap(({ runs }) => runs.flatMap((run) => found(run).map(nameOf))))];
  if (places.length < 2) return null;
  const columns = places.map((place) =>
    plusMinusColumn(
      series.map(({ runs }) => {
        const values = runs.flatMap((run) =>
          found(run).filter((layer) => nameOf(layer) === place).map(valueOf)
        );
        return values.length === 0 ? null : estimate(values.map(Number));
      }),
      3,
    )
  );
  const rows = series.map(({ name }, at) => [name, ...columns.map((column) => column[at])]);
  return table(
    caption,
    ["Router", ...places],
    rows.filter(([, ...cells]) => cells.some((cell) => cell !== missing)),
  );
}

function flowPlace({ layer, flow }: LayerChoices): string {
  return `Layer ${layer} to ${flow?.to}`;
}

/** How much passes from mixture to mixture, and how evenly experts share tokens, over seeds. */
export function choiceFigures(series: readonly Series[]): Content {
  const of = (valueOf: (layer: LayerChoices) => number | null) =>
    series.map((each) => ({ series: each, values: each.runs.flatMap((run) => meanOver(run, valueOf)) }))
      .filter(({ values }) => values.length > 0);
  const information = ({ flow }: LayerChoices) => flow && flow.information;
  const [flows, pairs] = [of(information), of(pairEvenness)];
  if (flows.length + pairs.length === 0) {
    return markup`<p>These models have one mixture and send no token to two experts: nothing passes from layer to layer, and no
experts share tokens.</p>`;
  }
  return [
    figure(
      "Pairs of experts",
      markup`${
        flows.length > 0
          ? "Flow: mutual information of a token's experts in one mixture and the next, with the bias of finite counts removed (Miller–Madow); 0 is independent choices. "
          : "These models have one mixture, so nothing passes from one to the next. "
      }${
        pairs.length > 0
          ? "Evenness of pairs: entropy of the pairs of experts that share tokens, over that of equally frequent pairs; 1 is every pair as often, 0 one pair alone. "
          : "No token goes to two experts, so none share tokens. "
      }Means over mixtures; rings are seeds, the bar is the 95% interval of their mean.`,
      [
        flows.length === 0 ? null : panel(
          "From one mixture to the next",
          intervalChart("Mutual information of experts in successive mixtures, by router", {
            name: "nats",
            fromZero: true,
          }, flows),
        ),
        pairs.length === 0 ? null : panel(
          "Evenness of pairs",
          intervalChart("Evenness of pairs of experts, by router", {
            name: "entropy over its maximum",
            fromZero: true,
          }, pairs),
        ),
      ],
    ),
    byPlace("Flow from mixture to mixture, nats", series, information, flowPlace),
    byPlace("Evenness of pairs by mixture", series, pairEvenness, ({ layer }) => `Layer ${layer}`),
  ];
}
