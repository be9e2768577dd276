// Routers against tasks: a panel a task, a row a router with its routing score and interval, best first; controls stand
// among them in grey, and routers that spend more stand apart below.
import * as Plot from "@observablehq/plot";
import { chart, panel } from "./chart.ts";
import { costOf, spendsMore } from "./cost.ts";
import { type Markup, markup } from "./markup.ts";
import { fixed, ratio } from "./numbers.ts";
import { seriesColor } from "./palette.ts";
import { scores } from "./score.ts";
import type { Judging } from "./verdicts.ts";

/** Width a panel is drawn for: three beside each other on a wide page, one on a phone. */
const width = 380;
const rowHeight = 21;
/** What lies further out is drawn at the edge. */
const farthest = [-0.6, 1.4] as const;

interface Row {
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly color: string;
  readonly kind: "router" | "control" | "apart";
  readonly about: string;
}

const short: Readonly<Record<string, string>> = {
  "dense, equal FLOPs": "dense, = FLOPs",
  "dense, equal parameters": "dense, = params",
};

/** Names as they fit beside a panel. */
function shown(name: string): string {
  const text = short[name] ?? name;
  return text.length <= 18 ? text : `${text.slice(0, 10)}…${text.slice(-7)}`;
}

/** Rows of a task from best to worst, those that spend more than the baseline behind all others. */
export function scoreRows({ comparison, worth }: Judging): Row[] {
  const baselineCost = comparison.baseline && costOf(comparison.baseline);
  const rows = scores(comparison, worth).filter(({ score }) => score.interval !== null).map((scored): Row => {
    const { series, score } = scored;
    const cost = costOf(series);
    const more = series.control === null && baselineCost && cost && spendsMore(cost, baselineCost);
    return {
      name: series.name,
      value: score.value,
      low: score.interval!.low,
      high: score.interval!.high,
      color: seriesColor(series.index),
      kind: series.control ? "control" : more ? "apart" : "router",
      about: `${series.name}: ${ratio(score)}`,
    };
  }).sort((a, b) => b.value - a.value);
  return [...rows.filter(({ kind }) => kind !== "apart"), ...rows.filter(({ kind }) => kind === "apart")];
}

/** Common ends of all panels: from random routing to the best, and as far beyond as rows reach. */
function endsOf(rows: readonly Row[]): [number, number] {
  const low = Math.min(0, ...rows.map((row) => row.low));
  const high = Math.max(1, ...rows.map((row) => row.high));
  return [Math.max(farthest[0], low) - 0.04, Math.min(farthest[1], high) + 0.04];
}

function drawing(label: string, rows: readonly Row[], ends: readonly [number, number], best: string): Markup {
  const [low, high] = ends;
  const clamped = (value: number): number => Math.min(high, Math.max(low, value));
  const inside = (value: number): boolean => value >= low && value <= high;
  const margin = 12 + 7.2 * Math.max(...rows.map(({ name }) => shown(name).length));
  const peers = rows.filter(({ kind }) => kind !== "apart").length;
  const points = (kinds: readonly Row["kind"][]) =>
    rows.filter(({ kind, value }) => kinds.includes(kind) && inside(value));
  return chart(label, {
    width,
    height: 60 + rows.length * rowHeight,
    marginTop: 20,
    marginBottom: 34,
    marginLeft: margin,
    marginRight: 12,
    x: {
      domain: [low, high],
      label: "routing score →",
      labelArrow: "none",
      labelAnchor: "right",
      ticks: [-0.5, 0, 0.5, 1].filter(inside),
      tickFormat: (value: number) => fixed(value, value % 1 === 0 ? 0 : 1),
    },
    y: {
      type: "band",
      domain: rows.map(({ name }) => name),
      label: null,
      tickFormat: shown,
      tickSize: 0,
      padding: 0.15,
    },
    marks: [
      Plot.ruleY(rows, { y: "name", stroke: "var(--grid)" }),
      Plot.ruleX([0, 1], { stroke: "var(--muted)", strokeDasharray: "4 3" }),
      Plot.text([{ at: 0, text: "random" }, { at: 1, text: best }], {
        x: "at",
        text: "text",
        frameAnchor: "top",
        dy: -12,
        fill: "var(--muted)",
      }),
      peers === rows.length ? null : Plot.ruleY([rows[peers]], {
        y: "name",
        dy: -rowHeight / 2,
        stroke: "var(--muted)",
      }),
      Plot.ruleY(rows, {
        y: "name",
        x1: (row: Row) => clamped(row.low),
        x2: (row: Row) => clamped(row.high),
        stroke: "color",
        strokeWidth: 2,
      }),
      ...(["low", "high"] as const).map((end) =>
        Plot.tickX(rows.filter((row) => inside(row[end])), {
          y: "name",
          x: end,
          stroke: "color",
          strokeWidth: 2,
          inset: 4.5,
        })
      ),
      Plot.dot(points(["router"]), {
        y: "name",
        x: "value",
        r: 4,
        fill: "color",
        title: "about",
      }),
      Plot.dot(points(["control", "apart"]), {
        y: "name",
        x: "value",
        r: 4,
        symbol: (row: Row) => row.kind,
        stroke: "color",
        strokeWidth: 1.75,
        fill: "var(--surface)",
        title: "about",
      }),
      Plot.text(rows.filter(({ value }) => !inside(value)), {
        y: "name",
        x: (row: Row) => clamped(row.value),
        text: (row: Row) => row.value < low ? "◂" : "▸",
        fill: "color",
        title: "about",
      }),
    ],
    symbol: { domain: ["control", "apart"], range: ["diamond2", "circle"] },
  });
}

function key(all: readonly Row[]): Markup {
  const mark = (path: string, fill: string, text: string): Markup =>
    markup`<li><svg class="sample" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path d="${path}" fill="${fill}" stroke="var(--ink)" stroke-width="1.5"/></svg>${text}</li>`;
  const circle = "M2,6a4,4 0 1,0 8,0a4,4 0 1,0 -8,0";
  return markup`<ul class="legend" aria-label="Marks">${mark(circle, "var(--ink)", "router")}${
    mark("M6,1L11,6L6,11L1,6Z", "none", "control")
  }${
    all.some(({ kind }) => kind === "apart")
      ? mark(circle, "none", "router that spends more: ranked apart")
      : null
  }</ul>`;
}

/** The figure: a panel a task that can tell routers apart, and a sentence where one cannot; null when none can. */
export function scoreChart(all: readonly Judging[]): Markup | null {
  const panels = all.map((judging) => ({ judging, rows: scoreRows(judging) }));
  const drawn = panels.flatMap(({ rows }) => rows);
  if (drawn.length === 0) return null;
  const ends = endsOf(drawn);
  return markup`<figure class="multiples"><h3>How well routers route</h3>${key(drawn)}${
    panels.map(({ judging: { comparison: { task }, worth: { best } }, rows }) => {
      const name = task?.name ?? "all runs";
      return panel(
        name,
        rows.length === 0 ? markup`<p class="meta">Routers cannot be told apart here.</p>` : drawing(
          `Routing score of each router on ${name}, best first, with 95% intervals`,
          rows,
          ends,
          best!.control === "best known routing" ? "best known" : "dense, = params",
        ),
      );
    })
  }<figcaption class="${
    panels.length === 1 ? "beside" : "below"
  }">Routing score: (loss of random routing − loss) / (loss of random routing − loss of the best known
routing${
    panels.some(({ judging: { worth: { best } } }) => best?.control === "dense, equal parameters")
      ? ", or of a dense model with as many parameters where none is known"
      : ""
  }). Bars are 95% intervals, paired by seed (Fieller); they are not widened for the number of routers. A bar without an end
goes on beyond the chart; an arrow is a score beyond it.</figcaption></figure>`;
}
