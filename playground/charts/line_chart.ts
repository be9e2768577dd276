// Lines over steps: losses, shares. Marks are losses that need no line, such as random routing's, at the right side.
/// <reference lib="dom" />
import { createCanvas, type Surface } from "./canvas.ts";
import { createCursor } from "./cursor.ts";
import { short, ticksBetween } from "./scale.ts";

/** Values by step, in order. */
export interface Line {
  readonly label: string;
  /** Which of the theme's hues. */
  readonly hue: number;
  /** "thin" for values of single steps, "dots" for a few points joined. */
  readonly form: "thin" | "dots";
  readonly dashed: boolean;
  /** Of the run before: drawn pale. */
  readonly faint: boolean;
  readonly length: number;
  x(at: number): number;
  y(at: number): number;
}

/** A value to compare with. */
export interface Mark {
  readonly label: string;
  readonly value: number;
}

/** What a chart shows. */
export interface LinePlot {
  readonly lastStep: number;
  /** What bounds must hold besides the lines. */
  readonly least?: number;
  readonly most?: number;
  readonly lines: readonly Line[];
  readonly marks: readonly Mark[];
  format(value: number): string;
}

/** A chart in the page. */
export interface LineChart {
  readonly root: HTMLElement;
  show(plot: LinePlot): void;
}

const LEFT = 44;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 24;

/** A chart of lines. */
export function createLineChart(label: string): LineChart {
  let plot: LinePlot = { lastStep: 1, lines: [], marks: [], format: short };
  let width = 1;
  const canvas = createCanvas((surface) => {
    ({ width } = surface);
    drawPlot(surface, plot, cursor.place);
  });
  const cursor = createCursor(canvas.root, {
    label,
    last: () => plot.lastStep,
    placeAt: (x) => Math.round((x - LEFT) / (width - LEFT - RIGHT) * plot.lastStep),
    text: (step) => textAt(plot, step),
    moved: canvas.redraw,
  });
  return {
    root: cursor.root,
    show(next) {
      plot = next;
      cursor.update();
      canvas.redraw();
    },
  };
}

function textAt({ lines, format }: LinePlot, step: number): string {
  const values = lines.flatMap((line) => {
    const at = lastUpTo(line, step);
    return at < 0 ? [] : [`${line.label} ${format(line.y(at))}`];
  });
  return `step ${step}: ${values.length > 0 ? values.join(", ") : "nothing yet"}`;
}

/** Place of the last value up to a step; -1 where there is none. */
function lastUpTo({ length, x }: Line, step: number): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x(middle) <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Bounds of all values but where lines begin, which may be far above all that follows. */
function boundsOf({ lines, marks, least, most }: LinePlot): [low: number, high: number] {
  const values = marks.map(({ value }) => value);
  for (const { form, length, y } of lines) {
    const first = form === "thin" ? Math.floor(length / 20) : Math.min(1, length - 1);
    for (let at = Math.max(0, first); at < length; at++) values.push(y(at));
  }
  const finite = values.filter(Number.isFinite);
  const low = Math.min(least ?? Infinity, ...finite.length > 0 ? [minimum(finite)] : [0]);
  const high = Math.max(most ?? -Infinity, ...finite.length > 0 ? [maximum(finite)] : [1]);
  return high > low ? [low, high] : [low, low + 1];
}

const minimum = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b));
const maximum = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b));

function drawPlot(surface: Surface, plot: LinePlot, place: number | null): void {
  const { context, width, height, theme } = surface;
  const [low, high] = boundsOf(plot);
  const x = (step: number) => LEFT + step / plot.lastStep * (width - LEFT - RIGHT);
  const y = (value: number) => TOP + (high - value) / (high - low) * (height - TOP - BOTTOM);
  drawAxes(surface, plot, { x, y, low, high });
  context.save();
  context.beginPath();
  context.rect(LEFT, TOP - 4, width - LEFT - RIGHT + 4, height - TOP - BOTTOM + 8);
  context.clip();
  for (const line of plot.lines) drawLine(surface, line, { x, y });
  context.restore();
  drawMarks(surface, plot, y);
  if (place === null) return;
  context.strokeStyle = theme.muted;
  context.setLineDash([]);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x(place), TOP);
  context.lineTo(x(place), height - BOTTOM);
  context.stroke();
}

interface Scales {
  x(step: number): number;
  y(value: number): number;
}

function drawAxes(
  { context, width, height, theme }: Surface,
  { lastStep, format }: LinePlot,
  { x, y, low, high }: Scales & { readonly low: number; readonly high: number },
): void {
  context.lineWidth = 1;
  context.setLineDash([]);
  context.strokeStyle = theme.grid;
  context.fillStyle = theme.muted;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of ticksBetween(low, high, 4)) {
    context.beginPath();
    context.moveTo(LEFT, y(tick));
    context.lineTo(width - RIGHT, y(tick));
    context.stroke();
    context.fillText(format(tick), LEFT - 6, y(tick));
  }
  context.textBaseline = "top";
  for (const tick of ticksBetween(0, lastStep, Math.max(2, Math.floor(width / 110)))) {
    context.textAlign = tick === 0 ? "left" : x(tick) > width - 30 ? "right" : "center";
    context.fillText(tick === 0 ? "step 0" : String(tick), x(tick), height - BOTTOM + 7);
  }
}

function drawLine({ context, width, theme }: Surface, line: Line, { x, y }: Scales): void {
  if (line.length === 0) return;
  const color = theme.series[line.hue % theme.series.length];
  context.strokeStyle = context.fillStyle = color;
  context.globalAlpha = line.faint ? 0.35 : line.form === "thin" ? 0.55 : 1;
  context.lineWidth = line.form === "thin" ? 1 : 2;
  context.setLineDash(line.dashed ? [6, 3] : []);
  const stride = Math.max(1, Math.ceil(line.length / (2 * width)));
  context.beginPath();
  for (let at = 0; at < line.length; at += stride) context.lineTo(x(line.x(at)), y(line.y(at)));
  context.lineTo(x(line.x(line.length - 1)), y(line.y(line.length - 1)));
  context.stroke();
  if (line.form === "dots") {
    for (let at = 0; at < line.length; at++) {
      context.beginPath();
      context.arc(x(line.x(at)), y(line.y(at)), 2.5, 0, 2 * Math.PI);
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

/** A tick at the right side with a label above it, lower ones moved down where they would overlap. */
function drawMarks({ context, width, theme }: Surface, { marks, format }: LinePlot, y: Scales["y"]): void {
  context.setLineDash([2, 3]);
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "bottom";
  let free = TOP + 10;
  for (const { label, value } of [...marks].sort((a, b) => b.value - a.value)) {
    context.strokeStyle = theme.muted;
    context.beginPath();
    context.moveTo(LEFT, y(value));
    context.lineTo(width - RIGHT, y(value));
    context.stroke();
    const at = Math.max(y(value) - 2, free);
    free = at + 14;
    context.strokeStyle = theme.card;
    context.fillStyle = theme.ink;
    context.lineWidth = 4;
    context.setLineDash([]);
    context.lineJoin = "round";
    context.strokeText(`${label} ${format(value)}`, width - RIGHT - 4, at);
    context.fillText(`${label} ${format(value)}`, width - RIGHT - 4, at);
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
  }
}
