// Names at the ends of lines: moved apart where they would overlap, each joined to its line.
import type { Markish, RenderFunction } from "@observablehq/plot";
import { element } from "./chart.ts";
import type { Line } from "./curves.ts";
import { seriesColor, seriesDash } from "./palette.ts";

/** Units of a drawing from one name to the next, enough for the larger type of narrow pages. */
const lineHeight = 16;
const gap = 16;
const longest = 18;
const letterWidth = 8;

/** A name as it fits beside a chart, cut in its middle. */
export function shortName(name: string): string {
  return name.length <= longest ? name : `${name.slice(0, 9)}…${name.slice(-8)}`;
}

/** Room for names right of a chart. */
export function labelWidth(lines: readonly Pick<Line, "series">[]): number {
  return gap + 4 + letterWidth * Math.max(0, ...lines.map(({ series }) => shortName(series.name).length));
}

/**
 * Places as near as can be to those wanted, in the same order and at least `least` apart, between `from` and `to` where
 * there is room. Places that would overlap share what they miss by (pool adjacent violators).
 */
export function spread(wanted: readonly number[], least: number, from: number, to: number): number[] {
  const order = wanted.map((_, at) => at).sort((a, b) => wanted[a] - wanted[b]);
  const groups: { sum: number; count: number }[] = [];
  order.forEach((at, rank) => {
    groups.push({ sum: wanted[at] - rank * least, count: 1 });
    for (let last = groups.length - 1; last > 0; last--) {
      const [a, b] = [groups[last - 1], groups[last]];
      if (a.sum / a.count <= b.sum / b.count) break;
      groups.splice(last - 1, 2, { sum: a.sum + b.sum, count: a.count + b.count });
    }
  });
  const highest = to - (wanted.length - 1) * least;
  const shifted = groups.flatMap(({ sum, count }) =>
    new Array<number>(count).fill(Math.max(from, Math.min(highest, sum / count)))
  );
  const places = new Array<number>(wanted.length);
  order.forEach((at, rank) => places[at] = shifted[rank] + rank * least);
  return places;
}

interface Group {
  append(child: unknown): void;
  textContent: string;
}

/** A mark that names lines at their ends. */
export function endLabels(lines: readonly Line[]): Markish {
  const ends = lines.map(({ series, points }) => ({ series, end: points.at(-1)! }));
  const render: RenderFunction = (_index, { x, y }, _values, box) => {
    const group = element("g", { "aria-label": "names" }) as unknown as Group;
    const wanted = ends.map(({ end }) => y!(end.mean));
    const places = spread(wanted, lineHeight, box.marginTop, box.height - box.marginBottom);
    const right = box.width - box.marginRight;
    ends.forEach(({ series, end }, at) => {
      const dash = seriesDash(series.index);
      const line = element("path", {
        d: `M${x!(end.step).toFixed(1)},${wanted[at].toFixed(1)}L${right + 4},${places[at].toFixed(1)}H${
          right + gap - 2
        }`,
        fill: "none",
        stroke: seriesColor(series.index),
        "stroke-width": "1.25",
        ...(dash ? { "stroke-dasharray": dash } : {}),
      });
      const name = element("text", {
        x: String(right + gap),
        y: places[at].toFixed(1),
        dy: "0.32em",
        "text-anchor": "start",
        fill: "currentColor",
      }) as unknown as Group;
      name.textContent = shortName(series.name);
      group.append(line);
      group.append(name);
    });
    return group as unknown as ReturnType<RenderFunction>;
  };
  return render;
}
