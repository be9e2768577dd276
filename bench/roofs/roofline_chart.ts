// The roofline (Williams, Waterman and Patterson 2009): kernels of a step by how much they compute on a byte and how fast,
// under what the machine was seen to do.
import * as Plot from "@observablehq/plot";
import { chart, figure, panel } from "../../report/chart.ts";
import type { Markup } from "../../report/markup.ts";
import { seriesColor } from "../../report/palette.ts";
import { type Roof, roofOf } from "./roof.ts";
import type { Row } from "../rows.ts";

/** Kernels shown by name: those that take most time. */
const NAMED = 10;
/** Share of the chart's height that a name takes. */
const LABEL_HEIGHT = 0.05;

interface Dot {
  readonly name: string;
  readonly intensity: number;
  readonly speed: number;
  readonly share: number;
}

/** One chart a device; null when no device timed its kernels. */
export function kernelFigure(rows: readonly Row[], devices: readonly string[]): Markup | null {
  const found = devices.flatMap((on) => {
    const dots = rows.filter(({ group, on: device, figures }) =>
      group === "kernel" && device === on && figures.share
    )
      .map(({ name, figures }): Dot => ({
        name,
        intensity: figures.flopPerSecond.median / figures.bytesPerSecond.median,
        speed: figures.flopPerSecond.median / 1e9,
        share: figures.share.median,
      })).filter(({ speed }) => speed > 0);
    return dots.length === 0 ? [] : [{ on, dots, roof: roofOf(rows, on) }];
  });
  if (found.length === 0) return null;
  // Panels are read side by side, so that all have the same axes.
  const all = found.flatMap(({ dots }) => dots);
  const intensities = all.map(({ intensity }) => intensity);
  const x = [Math.min(...intensities) / 2, Math.max(...intensities) * 2] as const;
  const panels = found.map((each) => ({ ...each, lines: each.roof ? roofLines(each.roof, x) : [] }));
  const speeds = [...all, ...panels.flatMap(({ lines }) => lines)].map(({ speed }) => speed);
  const y = [Math.min(...speeds) / 2, Math.max(...speeds) * 1.5] as const;
  return figure(
    null,
    "A dot a kernel, larger the more of the time it takes. Dashed: the peak, and the bandwidth of memory and (upper line) " +
      "of the nearest cache. Kernels that compute nothing have no place here; they are in the table.",
    panels.map(({ on, dots, lines }) => panel(on, roofline(on, dots, lines, x, y))),
  );
}

function roofline(
  on: string,
  dots: readonly Dot[],
  lines: ReturnType<typeof roofLines>,
  x: readonly [number, number],
  y: readonly [number, number],
): Markup {
  const labels = namesBeside(dots.slice(0, NAMED), y);
  return chart(`Roofline of the kernels of a step on ${on}`, {
    height: 320,
    marginRight: 150,
    x: {
      type: "log",
      domain: x,
      label: "flop per byte →",
      labelArrow: "none",
      labelAnchor: "right",
      ticks: 4,
      tickFormat: "~g",
    },
    y: { type: "log", domain: y, label: "↑ GFLOP/s", labelArrow: "none", ticks: 5, tickFormat: "~g" },
    r: { type: "identity" },
    marks: [
      Plot.gridY({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      Plot.lineY(lines, {
        x: "intensity",
        y: "speed",
        z: "line",
        stroke: ({ line }) => line === "cache" ? "var(--muted)" : "var(--ink)",
        strokeDasharray: "5 3",
      }),
      Plot.link(labels, { x1: "intensity", y1: "speed", x2: x[1], y2: "at", stroke: "var(--line)" }),
      Plot.dot(dots, {
        x: "intensity",
        y: "speed",
        r: ({ share }: Dot) => 2.5 + 12 * Math.sqrt(share),
        fill: seriesColor(6),
        fillOpacity: 0.35,
        stroke: seriesColor(6),
        title: ({ name, share, speed }: Dot) =>
          `${name}: ${(100 * share).toFixed(1)}% of the time, ${speed.toFixed(1)} GFLOP/s`,
      }),
      Plot.text(labels, { x: x[1], y: "at", text: "name", dx: 4, textAnchor: "start", fill: "var(--ink)" }),
    ],
  });
}

function roofLines({ flopPerSecond, bandwidths }: Roof, [low, high]: readonly [number, number]) {
  return [bandwidths[0], bandwidths[bandwidths.length - 1]].flatMap(({ bytesPerSecond }, at) => {
    const ridge = Math.min(Math.max(flopPerSecond / bytesPerSecond, low), high);
    return [low, ridge, high].map((intensity) => ({
      line: at === 0 ? "cache" : "memory",
      intensity,
      speed: Math.min(flopPerSecond, intensity * bytesPerSecond) / 1e9,
    }));
  });
}

/** Places for names in a column on the right, as near to their dots' height as they fit, from the top down. */
function namesBeside(dots: readonly Dot[], [low, high]: readonly [number, number]) {
  const least = (high / low) ** LABEL_HEIGHT;
  let free = high;
  return dots.toSorted((a, b) => b.speed - a.speed).map((dot) => {
    const at = Math.min(dot.speed, free);
    free = at / least;
    return { ...dot, at };
  });
}
