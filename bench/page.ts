// The page of a bench: every table, and what tables do not show at a glance: the roofline, where a step's time goes, and
// which kernels take it.
import * as Plot from "@observablehq/plot";
import { chart, figure, panel } from "../report/chart.ts";
import { rowsHeight } from "../report/interval_chart.ts";
import { type Markup, markup, table } from "../report/markup.ts";
import { page, type Section } from "../report/page.ts";
import { seriesColor } from "../report/palette.ts";
import { mixtureStages } from "../training/record.ts";
import { isMissing, prepareFolder, writeAtomic } from "../formats/files.ts";
import { kernelFigure } from "./roofs/roofline_chart.ts";
import type { Row } from "./rows.ts";
import type { BenchResult } from "./schema.ts";
import { tablesOf, type TextTable } from "./tables.ts";

/** Writes a page into a folder of `results/` under its date, never over another. @returns Its path. */
export async function writePage(folder: string, date: string, html: string): Promise<string> {
  await prepareFolder(`results/${folder}`, html.length);
  const path = (number: number) => `results/${folder}/${date}${number === 1 ? "" : `-${number}`}.html`;
  let number = 1;
  while (!await isMissing(path(number))) number++;
  await writeAtomic(path(number), html);
  return path(number);
}

/** A table as markup, with what its columns mean below. */
export function tableMarkup({ caption, about, columns, rows }: TextTable): Markup {
  return markup`${table(caption, columns, rows)}<p class="meta">${about}</p>`;
}

/** A coloured square beside each name. */
function key(names: readonly string[], color: (at: number) => string): Markup {
  return markup`<ul class="legend" aria-label="Colours">${
    names.map((name, at) =>
      markup`<li><svg class="sample" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><rect width="12" height="12" fill="${
        color(at)
      }"/></svg>${name}</li>`
    )
  }</ul>`;
}

export function renderBench(result: BenchResult): string {
  const { machine, date, command, rows, checked } = result;
  // Every device has its own panel; a page of one device needs no more than that.
  const devices = [...new Set(rows.map(({ on }) => on))];
  const plots: Record<string, Markup | null> = {
    "Where a step's time goes": stepFigure(rows, devices),
    "Kernels of a step": kernelFigure(rows, devices),
  };
  const sections: Section[] = tablesOf(result).map((each) => ({
    id: each.title.toLowerCase().replaceAll(/[^a-z]+/g, "-"),
    title: each.title,
    content: [plots[each.title] ?? null, tableMarkup(each)],
  }));
  return page(
    { title: "How fast, here, now", lead: `${machine}.`, meta: `${date} · ${command}` },
    markup`<ul class="claims">${fastest(rows, devices).map((text) => markup`<li>${text}</li>`)}<li>${
      String(checked.length)
    } kernels were checked against their references before anything was timed.</li></ul>`,
    sections,
  );
}

function fastest(rows: readonly Row[], devices: readonly string[]): string[] {
  return devices.flatMap((on) => {
    const steps = rows.filter((row) => row.group === "step" && row.on === on && row.figures.seconds);
    if (steps.length === 0) return [];
    const sorted = steps.toSorted((a, b) => a.figures.seconds.median - b.figures.seconds.median);
    const ends = [...new Set([sorted[0], sorted[sorted.length - 1]])].map(({ name, figures }) =>
      `${(figures.seconds.median * 1e3).toFixed(1)} ms (${name})`
    );
    return [`On ${on} a training step takes ${ends.join(" to ")}.`];
  });
}

const parts = [
  ...[...mixtureStages, "rest"].map((stage) => [stage, `${stage}Share`]),
  ["backward", "backwardShare"],
  ["optimizer", "optimizerShare"],
  ["waiting", "readingShare"],
] as const;

function stepFigure(rows: readonly Row[], devices: readonly string[]): Markup {
  const names = parts.map(([name]) => name);
  const longest = Math.max(
    ...rows.flatMap(({ group, figures }) => group === "step" ? [1e3 * figures.seconds.median] : []),
  );
  const panels = devices.map((on) => {
    const steps = rows.filter((row) => row.group === "step" && row.on === on);
    const bars = steps.flatMap(({ name, figures }) =>
      parts.map(([part, share]) => ({
        name,
        part,
        milliseconds: figures.seconds.median * 1e3 * figures[share].median,
      }))
    );
    return panel(
      on,
      chart(`Milliseconds of a step on ${on}`, {
        height: rowsHeight(steps.length),
        marginTop: 8,
        marginLeft: 130,
        marginRight: 20,
        x: {
          // Panels are read side by side, so that all have the longest step's axis.
          domain: [0, longest],
          label: "milliseconds →",
          labelArrow: "none",
          labelAnchor: "right",
          ticks: 5,
          nice: true,
        },
        y: { type: "band", domain: steps.map(({ name }) => name), label: null, tickSize: 0, padding: 0.25 },
        marks: [
          Plot.gridX({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
          Plot.barX(bars, {
            y: "name",
            x: "milliseconds",
            fill: ({ part }) => seriesColor(names.indexOf(part)),
            order: names,
            z: "part",
            title: ({ name, part, milliseconds }) => `${name}, ${part}: ${milliseconds.toFixed(2)} ms`,
          }),
        ],
      }),
    );
  });
  return figure(null, "Median milliseconds of a step, by part.", panels, key(names, seriesColor));
}
