// A table of colours: a row an expert, a column a place of the axis (steps, or topics), and the classes of the report.
/// <reference lib="dom" />
import { heatClass } from "../../report/palette.ts";
import { createCanvas, type Surface } from "./canvas.ts";
import { createCursor } from "./cursor.ts";
import { ticksBetween } from "./scale.ts";
import { inkOn, packed } from "./theme.ts";

/** What a chart shows. */
export interface HeatPlot {
  readonly rows: number;
  readonly columns: number;
  /** Columns that have values; the first of them. */
  readonly filled: number;
  /** A cell's value; those of columns that share a pixel are averaged. */
  value(row: number, column: number): number;
  /** Which of the theme's heat classes a value has. */
  classOf(value: number): number;
  /** Name of a column, for the axis; steps where left out. */
  name?(column: number): string;
  /** What is written in a cell, where there is room. */
  cell?(row: number, column: number): string;
  /** The numbers of a cell. */
  text(row: number, column: number): string;
}

/** A chart in the page. */
export interface HeatChart {
  readonly root: HTMLElement;
  /** Cell of the cursor, row by row of the filled columns; null while it is nowhere. */
  readonly place: number | null;
  show(plot: HeatPlot): void;
}

const LEFT = 44;
const RIGHT = 10;
const TOP = 4;
const BOTTOM = 24;
/** Columns of a picture: more than a canvas has pixels are averaged. */
const MOST_COLUMNS = 600;

/** A chart of colours. @param moved Called when its cursor is. */
export function createHeatChart(label: string, moved = () => {}): HeatChart {
  let plot: HeatPlot = { rows: 1, columns: 1, filled: 0, value: () => 1, classOf: heatClass, text: () => "" };
  let [width, height] = [1, 1];
  const canvas = createCanvas((surface) => {
    ({ width, height } = surface);
    drawHeat(surface, plot, cursor.place);
  });
  const cursor = createCursor(canvas.root, {
    label,
    last: () => Math.max(0, plot.rows * plot.filled - 1),
    placeAt(x, y) {
      const column = Math.floor((x - LEFT) / (width - LEFT - RIGHT) * plot.columns);
      const row = Math.floor((y - TOP) / (height - TOP - BOTTOM) * plot.rows);
      if (column < 0 || column >= plot.filled || row < 0 || row >= plot.rows) return null;
      return row * plot.filled + column;
    },
    row: () => plot.filled,
    text: (place) =>
      plot.filled === 0 ? "nothing yet" : plot.text(Math.floor(place / plot.filled), place % plot.filled),
    moved() {
      canvas.redraw();
      moved();
    },
  });
  return {
    root: cursor.root,
    get place() {
      return cursor.place;
    },
    show(next) {
      plot = next;
      cursor.update();
      canvas.redraw();
    },
  };
}

function drawHeat(surface: Surface, plot: HeatPlot, place: number | null): void {
  const { context, width, height, theme } = surface;
  const { rows, columns, filled } = plot;
  const [across, down] = [width - LEFT - RIGHT, height - TOP - BOTTOM];
  const picture = pictureOf(surface, plot);
  if (picture) {
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, LEFT, TOP, across * filled / columns, down);
  }
  context.strokeStyle = theme.line;
  context.setLineDash([]);
  context.strokeRect(LEFT, TOP, across, down);
  context.fillStyle = theme.muted;
  context.textAlign = "right";
  context.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(rows * 14 / down));
  for (let row = 0; row < rows; row += every) {
    context.fillText(String(row), LEFT - 6, TOP + (row + 0.5) / rows * down);
  }
  drawColumnNames(surface, plot);
  drawCells(surface, plot);
  if (place === null || filled === 0) return;
  const [row, column] = [Math.floor(place / filled), place % filled];
  context.strokeStyle = theme.ink;
  context.lineWidth = 2;
  const cell = Math.max(3, across / columns);
  context.strokeRect(LEFT + column / columns * across, TOP + row / rows * down, cell, down / rows);
  context.lineWidth = 1;
}

function drawColumnNames({ context, width, height }: Surface, { columns, filled, name }: HeatPlot): void {
  const across = width - LEFT - RIGHT;
  context.textBaseline = "top";
  if (!name) {
    for (const tick of ticksBetween(0, columns, Math.max(2, Math.floor(width / 110)))) {
      const x = LEFT + tick / columns * across;
      context.textAlign = tick === 0 ? "left" : x > width - 30 ? "right" : "center";
      context.fillText(tick === 0 ? "step 0" : String(tick), x, height - BOTTOM + 7);
    }
    return;
  }
  context.textAlign = "center";
  const every = Math.max(1, Math.ceil(columns * 26 / across));
  for (let column = 0; column < filled; column += every) {
    context.fillText(name(column), LEFT + (column + 0.5) / columns * across, height - BOTTOM + 7);
  }
}

const CELL_ROOM = 26;

function drawCells(
  { context, width, height, theme }: Surface,
  { rows, columns, filled, value, classOf, cell }: HeatPlot,
): void {
  const [across, down] = [(width - LEFT - RIGHT) / columns, (height - TOP - BOTTOM) / rows];
  if (!cell || across < CELL_ROOM || down < 14) return;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < filled; column++) {
      context.fillStyle = inkOn(theme.heat[classOf(value(row, column))]);
      context.fillText(cell(row, column), LEFT + (column + 0.5) * across, TOP + (row + 0.5) * down);
    }
  }
}

/** Cells as pixels. */
function pictureOf({ theme }: Surface, { rows, filled, value, classOf }: HeatPlot): OffscreenCanvas | null {
  if (filled === 0) return null;
  const colors = theme.heat.map(packed);
  const stride = Math.ceil(filled / MOST_COLUMNS);
  const columns = Math.ceil(filled / stride);
  const pixels = new ImageData(columns, rows);
  const words = new Uint32Array(pixels.data.buffer);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const end = Math.min(filled, (column + 1) * stride);
      let sum = 0;
      for (let at = column * stride; at < end; at++) sum += value(row, at);
      words[row * columns + column] = colors[classOf(sum / (end - column * stride))];
    }
  }
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  return canvas;
}
