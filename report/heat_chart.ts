// Experts down, anything across, coloured by the ratio to an even share in nine classes. Cells of one class form one
// path, which keeps a page with tens of thousands of cells small and leaves colours to the style sheet.
import type { RenderFunction } from "@observablehq/plot";
import { chart, element } from "./chart.ts";
import { type Markup, markup } from "./markup.ts";
import { heatBounds, heatClass, heatColor } from "./palette.ts";

/** [expert][column]: 1 = even; null leaves a cell empty. */
export type Ratios = readonly (readonly (number | null)[])[];

/** What stands below the columns. */
export interface HeatColumns {
  readonly label: string | null;
  readonly count: number;
  /** Where names stand, in columns from the left edge. */
  readonly ticks: readonly { readonly at: number; readonly name: string }[];
  readonly slanted?: boolean;
}

/** One path a class, each row's equal neighbours drawn as one rectangle. */
function paths(ratios: Ratios, x: (column: number) => number, y: (row: number) => number): string[] {
  const drawn = [...heatBounds, 0].map(() => "");
  const number = (value: number): string => String(Number(value.toFixed(1)));
  ratios.forEach((row, down) => {
    const classes = row.map((ratio) => ratio === null ? -1 : heatClass(ratio));
    for (let from = 0, to = 0; from < classes.length; from = to) {
      while (to < classes.length && classes[to] === classes[from]) to++;
      if (classes[from] < 0) continue;
      const [left, right, top, bottom] = [x(from), x(to), y(down), y(down + 1)].map(number);
      drawn[classes[from]] += `M${left},${top}H${right}V${bottom}H${left}z`;
    }
  });
  return drawn;
}

interface Group {
  append(child: unknown): void;
}

/** Whether every cell is about even, so that a heatmap would show nothing. */
export function isEven(ratios: Ratios): boolean {
  return ratios.every((row) => row.every((ratio) => ratio === null || heatClass(ratio) === 4));
}

/** Width that heatmaps are drawn for, in CSS pixels. */
const width = 264;

/**
 * Heatmap with rows of `rowHeight` pixels, less where there are very many experts.
 * @param first Number of the first row's expert.
 */
export function heatChart(
  label: string,
  ratios: Ratios,
  columns: HeatColumns,
  rowHeight: number,
  first = 0,
): Markup {
  const experts = ratios.length;
  const high = Math.max(2, Math.min(rowHeight, 420 / Math.max(1, experts)));
  const every = Math.ceil(11 / high);
  const cells: RenderFunction = (_index, _scales, _values, box) => {
    const group = element("g", { "aria-label": "cells" }) as unknown as Group;
    const wide = (box.width - box.marginLeft - box.marginRight) / Math.max(1, columns.count);
    paths(ratios, (at) => box.marginLeft + at * wide, (at) => box.marginTop + at * high)
      .forEach((d, index) => d === "" ? null : group.append(element("path", { fill: heatColor(index), d })));
    return group as unknown as ReturnType<RenderFunction>;
  };
  const bottom = columns.slanted ? 68 : 36;
  return chart(label, {
    width,
    height: 26 + high * experts + bottom,
    marginLeft: 34,
    marginRight: 16,
    marginBottom: bottom,
    x: {
      domain: [0, Math.max(1, columns.count)],
      label: columns.label === null ? null : `${columns.label} →`,
      labelAnchor: "right",
      labelArrow: "none",
      ticks: columns.ticks.map(({ at }) => at),
      tickFormat: (_at: number, index: number) => columns.ticks[index].name,
      ...(columns.slanted ? { tickRotate: -40, tickSize: 3 } : {}),
    },
    y: {
      domain: [experts, 0],
      label: "expert",
      labelAnchor: "top",
      labelArrow: "none",
      ticks: ratios.map((_, expert) => expert + 0.5).filter((_, expert) => expert % every === 0),
      tickFormat: (at: number) => String(first + Math.floor(at)),
      tickSize: 0,
    },
    marks: [cells],
  });
}

/** Key to the nine classes. */
export function heatLegend(even: string): Markup {
  const bounds = heatBounds.map((bound) => String(Number(bound.toFixed(2))));
  const names = [
    `below ${bounds[0]}×`,
    ...bounds.slice(1).map((bound, at) => at === 3 ? even : `${bounds[at]}–${bound}×`),
    `${bounds.at(-1)}× and above`,
  ];
  return markup`<ul class="legend heat" aria-label="Colours, as a multiple of an even share">${
    names.map((name, at) => markup`<li><span class="cell heat-${at}"></span>${name}</li>`)
  }</ul>`;
}
