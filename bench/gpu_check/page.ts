// A check as a page: what was found, kernels under the roofline measured on the adapter, and every table.
import { type Markup, markup } from "../../report/markup.ts";
import { page, type Section } from "../../report/page.ts";
import { tableMarkup } from "../page.ts";
import { kernelFigure } from "../roofs/roofline_chart.ts";
import { bytesText } from "../roofs/roof.ts";
import type { Row } from "../rows.ts";
import type { GpuCheck } from "./schema.ts";
import { claims, slowLines, tablesOf } from "./words.ts";

const once = (value: number) => ({ median: value, least: value, most: value });

/** Kernels as the bench's roofline takes them. */
function rowsOf({ kernels, roof, adapter: { name: on } }: GpuCheck): Row[] {
  const all = kernels.reduce((sum, { timed }) => sum + (timed?.seconds ?? 0), 0);
  return [
    {
      group: "roof",
      name: "multiply-add",
      on,
      figures: { flopPerSecond: once(roof.flopPerSecond) },
    },
    ...roof.bandwidths.map(({ bytes, bytesPerSecond }): Row => ({
      group: "roof",
      name: bytesText(bytes),
      on,
      figures: { bytesPerSecond: once(bytesPerSecond) },
    })),
    ...kernels.flatMap(({ name, timed }): Row[] =>
      timed === null ? [] : [{
        group: "kernel",
        name,
        on,
        figures: {
          share: once(timed.seconds / all),
          flopPerSecond: once(timed.flop / timed.seconds),
          bytesPerSecond: once(timed.bytes / timed.seconds),
        },
      }]
    ).toSorted((a, b) => b.figures.share.median - a.figures.share.median),
  ];
}

function lines(some: readonly string[]): Markup {
  return markup`<ul class="claims">${some.map((line) => markup`<li>${line}</li>`)}</ul>`;
}

/** The page; texts are escaped. */
export function renderGpuCheck(found: GpuCheck): string {
  const { adapter, machine, date, command } = found;
  const slow = slowLines(found);
  const sections: Section[] = tablesOf(found).map((each) => ({
    id: each.title.toLowerCase().replaceAll(/[^a-z]+/g, "-"),
    title: each.title,
    content: [
      each.title === "Kernels" ? kernelFigure(rowsOf(found), [adapter.name]) : null,
      each.title === "Kernels" && slow.length > 0
        ? markup`<h3>Below half of their roofline</h3>${lines(slow)}`
        : null,
      tableMarkup(each),
    ],
  }));
  return page(
    { title: `GPU check: ${adapter.name}`, lead: `${machine}.`, meta: `${date} · ${command}` },
    lines(claims(found)),
    sections,
  );
}
