// An inspection as a page: the text with each token's expert under it, margins, what passes from layer to layer, which
// experts work together, and which words each promotes.
import * as Plot from "@observablehq/plot";
import { chart, figure, heatFigure, panel } from "../report/chart.ts";
import { expertHeat, partners } from "../report/expert_heat.ts";
import { heatLegend } from "../report/heat_chart.ts";
import { type Content, type Markup, markup, table } from "../report/markup.ts";
import { fixed, missing, percent } from "../report/numbers.ts";
import { page, type Section } from "../report/page.ts";
import { borderClasses } from "../report/palette.ts";
import { lift } from "../report/specialisation_plots.ts";
import { quantile } from "../report/statistics.ts";
import { wordList } from "../report/word_list.ts";
import { firstExpert, type Inspection, type LayerInspection, marginOf } from "../training/inspection.ts";
import type { TokenInLayer } from "../training/look.ts";
import { nearTie } from "../training/record.ts";
import type { Names } from "./inspect_text.ts";

/** What the page says of where its tokens come from. */
export interface About {
  readonly title: string;
  readonly lead: string;
  readonly meta: string;
  /** What another model does otherwise. */
  readonly changes: readonly string[];
}

/** What a pointer shows. */
function detail(token: TokenInLayer, shared: number): string {
  const experts = token.kept.toSorted((a, b) => b.weight - a.weight)
    .map(({ expert, weight }) => `expert ${expert}, ${fixed(weight, 2)}`);
  const margin = marginOf(token, shared);
  return [
    ...(experts.length > 0 ? experts : ["no expert"]),
    ...(token.dropped.length > 0 ? [`no room in ${token.dropped.join(", ")}`] : []),
    ...(margin === null ? [] : [`margin ${fixed(margin, 2)}`]),
  ].join("; ");
}

function textOf(
  { tokens }: Inspection,
  { layer, shared }: LayerInspection,
  names: Names,
  most: number,
): Markup {
  const shown = tokens.slice(0, most).map(({ layers }, t) => {
    const token = layers.find((each) => each.layer === layer)!;
    const expert = firstExpert(token, shared);
    const style = expert === null ? "none" : borderClasses(expert);
    const span = markup`<span class="token ${style}" title="${detail(token, shared)}">${names.texts[t]}<sub>${
      expert ?? "–"
    }</sub></span>`;
    return names.starts.includes(t) && t > 0 ? markup`</p><p class="tokens">${span}` : span;
  });
  return markup`<h3>Layer ${layer}</h3><p class="tokens">${shown}</p>${
    tokens.length > most ? markup`<p class="meta">The first ${most} of ${tokens.length} tokens.</p>` : null
  }`;
}

const bins = 20;

function marginPanel({ layer, margins }: LayerInspection): Markup | null {
  if (!margins) return null;
  const counts = new Array<number>(bins).fill(0);
  for (const margin of margins) counts[Math.min(bins - 1, Math.floor(margin * bins))]++;
  const bars = counts.map((count, at) => ({
    from: at / bins,
    to: (at + 1) / bins,
    share: count / margins.length,
  }));
  return panel(
    `Layer ${layer}`,
    chart(`Share of tokens by margin, layer ${layer}`, {
      height: 190,
      x: { label: "margin →", labelArrow: "none", labelAnchor: "right", domain: [0, 1], ticks: 5 },
      y: { label: "↑ share of tokens", labelArrow: "none", tickFormat: "~%", nice: true, ticks: 4 },
      marks: [
        Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 4 }),
        Plot.rectY(bars, { x1: "from", x2: "to", y: "share", fill: "var(--series-0)", insetRight: 1 }),
      ],
    }),
  );
}

function margins(layers: readonly LayerInspection[]): Content {
  const panels = layers.map(marginPanel).filter((each) => each !== null);
  if (panels.length === 0) {
    return markup`<p>These routers have no distribution over experts, so no margin.</p>`;
  }
  return [
    figure(
      null,
      `The largest probability minus the second, token by token. Below ${nearTie} the choice was nearly another.`,
      panels,
    ),
    table(
      "Margins",
      ["Layer", "25%", "50%", "75%", `Below ${nearTie}`, "Assignments dropped"],
      layers.map(({ layer, margins, droppedShare }) => [
        layer,
        ...[0.25, 0.5, 0.75].map((level) => margins ? fixed(quantile(margins, level), 2) : missing),
        margins ? percent(margins.filter((each) => each < nearTie).length / margins.length) : missing,
        percent(droppedShare),
      ]),
    ),
  ];
}

function flows({ flows, layers }: Inspection): Content {
  if (flows.length === 0) return markup`<p>There is one mixture, so nothing passes from one to the next.</p>`;
  const sharedOf = (layer: number) => layers.find((each) => each.layer === layer)!.shared;
  const panels = flows.flatMap(({ from, to, counts }) => {
    const shared = { rows: sharedOf(from), columns: sharedOf(to) };
    const drawn = expertHeat(
      `Experts of layer ${from} against those of layer ${to}`,
      lift(counts),
      shared,
      `expert in layer ${to}`,
    );
    return drawn ? [panel(`Layer ${from} to ${to}`, drawn)] : [];
  });
  return [
    markup`<ul class="claims">${
      flows.map(({ from, to, information }) =>
        markup`<li>The expert in layer ${from} tells ${
          fixed(information, 2)
        } nats about that in layer ${to}.</li>`
      )
    }</ul>`,
    heatFigure(
      null,
      "Rows: the expert that weighs most in the one layer; columns: in the next. Colour: tokens that take both, as a multiple " +
        "of what independent choices would give.",
      panels,
      panels.length > 0 ? heatLegend("as by chance") : null,
    ),
  ];
}

function together(layers: readonly LayerInspection[]): Content {
  const several = layers.filter(({ together }) => together.some((row) => row.some((count) => count > 0)));
  if (several.length === 0) return markup`<p>No token goes to two experts, so none work together.</p>`;
  const panels = several.flatMap(({ layer, together, shared }) => {
    const drawn = expertHeat(
      `Experts that tokens of layer ${layer} go to together`,
      partners(together),
      { rows: shared, columns: shared },
      "expert",
    );
    return drawn ? [panel(`Layer ${layer}`, drawn)] : [];
  });
  return heatFigure(
    null,
    "Rows: an expert; columns: how often another is its partner on a token, as a multiple of that one's share of all partners.",
    panels,
    panels.length > 0 ? heatLegend("as by chance") : null,
  );
}

function promoted(layers: readonly LayerInspection[], { nameOf }: Names): Content {
  const tables = layers.flatMap(({ layer, shared, tokens, promoted }) =>
    promoted === null ? [] : [markup`<div>${
      table(
        `Layer ${layer}`,
        ["Expert", "Tokens", "Words"],
        promoted.map((rows, expert) => [
          expert,
          String(tokens[expert]),
          wordList(rows.map((row) => nameOf(row))),
        ]).slice(shared),
        "text",
      )
    }</div>`]
  );
  return tables.length === 0
    ? markup`<p>The model's output is no vocabulary, so nothing can be said here.</p>`
    : [
      markup`<p class="meta">Rows of the vocabulary whose scores an expert's mean output raises most above the mean output of the layer.
Later layers are left out, as if this one fed the output directly.</p>`,
      markup`<div class="grid">${tables}</div>`,
    ];
}

/** The page; text and words are escaped. */
export function inspectionPage(about: About, inspection: Inspection, names: Names, most: number): string {
  const { layers } = inspection;
  const sections: Section[] = [
    {
      id: "text",
      title: "Text by expert",
      content: layers.map((layer) => textOf(inspection, layer, names, most)),
    },
    { id: "margins", title: "Margins", content: margins(layers) },
    { id: "flow", title: "From layer to layer", content: flows(inspection) },
    { id: "together", title: "Experts together", content: together(layers) },
    { id: "promoted", title: "Words that experts promote", content: promoted(layers, names) },
  ];
  const changes = about.changes.length === 0
    ? null
    : markup`<ul class="claims">${about.changes.map((one) => markup`<li>${one}</li>`)}</ul>`;
  return page(about, changes, sections);
}
