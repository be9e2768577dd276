// A square, each cell coloured and numbered by the expert that takes its point, with the borders of the function's pieces.
/// <reference lib="dom" />
import { createCanvas, type Surface } from "../../charts/canvas.ts";
import { createCursor } from "../../charts/cursor.ts";
import { short } from "../../charts/scale.ts";
import { channels } from "../../charts/theme.ts";
import type { Scene } from "../../run/messages.ts";
import { type ExpertsOf, fateOf } from "./look.ts";
import type { SceneView } from "./view.ts";

type Plane = Extract<Scene, { readonly kind: "plane" }>;

/** A number in every so many cells. */
const NUMBER_EVERY = 4;
const ALPHA = 150;

/** The view; the point under the pointer, or at the arrow keys' cursor, is the one selected. */
export function createPlaneView(moved: () => void): SceneView {
  let plane: Plane = { kind: "plane", side: 1, piece_T: Int32Array.of(0), pieces: 1 };
  let experts: ExpertsOf = { E: 1, tokens: [] };
  let size = 1;
  const canvas = createCanvas((surface) => {
    size = surface.width;
    drawPlane(surface, plane, experts, cursor.place);
  });
  const middle = (at: number) => short((at + 0.5) / plane.side);
  const cursor = createCursor(canvas.root, {
    label: "Experts by place",
    last: () => plane.side ** 2 - 1,
    row: () => -plane.side,
    placeAt(x, y) {
      const column = Math.floor(x / size * plane.side);
      const row = plane.side - 1 - Math.floor(y / size * plane.side);
      const isIn = column >= 0 && row >= 0 && column < plane.side && row < plane.side;
      return isIn ? row * plane.side + column : null;
    },
    text: (at) =>
      `x ${middle(at % plane.side)}, y ${middle(Math.floor(at / plane.side))}, piece ${
        plane.piece_T[at] + 1
      }: ` +
      fateOf(experts.tokens[at], short),
    moved() {
      canvas.redraw();
      moved();
    },
  });
  return {
    root: cursor.root,
    show(scene, found) {
      if (scene.kind !== "plane") return;
      [plane, experts] = [scene, found];
      cursor.update();
      canvas.redraw();
    },
    selection: () => cursor.place === null ? null : { label: "this point", tokens: [cursor.place] },
  };
}

/** Expert that weighs most with a point; -1 where none took it. */
function expertAt({ tokens }: ExpertsOf, at: number): number {
  const kept = tokens[at]?.kept ?? [];
  return kept.reduce((best, each) => each.weight > best.weight ? each : best, kept[0])?.expert ?? -1;
}

function drawPlane(surface: Surface, plane: Plane, experts: ExpertsOf, place: number | null): void {
  const { context, width, theme } = surface;
  const { side } = plane;
  const cell = width / side;
  const pixels = new ImageData(side, side);
  const expert_T = Array.from({ length: side * side }, (_, at) => expertAt(experts, at));
  expert_T.forEach((expert, at) => {
    const color = expert < 0 ? theme.card : theme.series[expert % theme.series.length];
    const pixel = (side - 1 - Math.floor(at / side)) * side + at % side;
    pixels.data.set([...channels(color), ALPHA], 4 * pixel);
  });
  const picture = new OffscreenCanvas(side, side);
  picture.getContext("2d")!.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, width, width);
  context.fillStyle = context.strokeStyle = theme.ink;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const half = NUMBER_EVERY / 2;
  for (let row = half; row < side; row += NUMBER_EVERY) {
    for (let column = half; column < side; column += NUMBER_EVERY) {
      const expert = expert_T[row * side + column];
      context.fillText(expert < 0 ? "×" : String(expert), (column + 0.5) * cell, width - (row + 0.5) * cell);
    }
  }
  drawBorders(surface, plane);
  if (place === null) return;
  context.lineWidth = 2;
  context.strokeRect(place % side * cell, width - (Math.floor(place / side) + 1) * cell, cell, cell);
}

function drawBorders({ context, width }: Surface, { side, piece_T }: Plane): void {
  const cell = width / side;
  context.lineWidth = 1.5;
  context.setLineDash([]);
  context.beginPath();
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const at = row * side + column;
      const [x, y] = [column * cell, width - row * cell];
      if (column > 0 && piece_T[at] !== piece_T[at - 1]) {
        context.moveTo(x, y);
        context.lineTo(x, y - cell);
      }
      if (row > 0 && piece_T[at] !== piece_T[at - side]) {
        context.moveTo(x, y);
        context.lineTo(x + cell, y);
      }
    }
  }
  context.stroke();
}
