// A place on a chart's axis that follows the pointer, or the arrow keys once the chart has the focus, and says the numbers
// there. For screen readers it is a slider whose value is those numbers.
/// <reference lib="dom" />
import { element, setText } from "../dom.ts";

/** What a cursor needs to know of its chart. */
export interface CursorParts {
  readonly label: string;
  /** Last place of the axis; places are counted from 0. */
  last(): number;
  /** The place at a distance from the chart's left and top side, in CSS pixels; null beside the axis. */
  placeAt(x: number, y: number): number | null;
  /** The numbers at a place, in a sentence. */
  text(place: number): string;
  /** Places that the up and down keys go; 1 where left out. */
  row?(): number;
  moved(): void;
}

/** A cursor over a chart. */
export interface Cursor {
  /** Lies around the chart. */
  readonly root: HTMLElement;
  /** Where it is; null while it is nowhere. */
  readonly place: number | null;
  /** Says the numbers again, which may have changed. */
  update(): void;
}

/** A cursor around a chart's canvas, with its numbers below. */
export function createCursor(canvas: HTMLCanvasElement, parts: CursorParts): Cursor {
  const said = element("output", { class: "said" });
  const slider = element(
    "div",
    { class: "slider", role: "slider", tabindex: 0, "aria-label": parts.label, "aria-valuemin": 0 },
    canvas,
  );
  let place: number | null = null;
  const update = () => {
    const now = place === null ? null : Math.min(place, parts.last());
    const text = now === null ? "" : parts.text(now);
    setText(said, text);
    slider.setAttribute("aria-valuemax", String(parts.last()));
    slider.setAttribute("aria-valuenow", String(now ?? parts.last()));
    slider.setAttribute("aria-valuetext", text || "use the arrow keys to read numbers");
  };
  const go = (to: number | null) => {
    place = to === null ? null : Math.max(0, Math.min(parts.last(), to));
    update();
    parts.moved();
  };
  const steps: Readonly<Record<string, (from: number) => number>> = {
    ArrowLeft: (from) => from - 1,
    ArrowRight: (from) => from + 1,
    ArrowDown: (from) => from + (parts.row?.() ?? -1),
    ArrowUp: (from) => from - (parts.row?.() ?? -1),
    PageDown: (from) => from - Math.ceil(parts.last() / 10),
    PageUp: (from) => from + Math.ceil(parts.last() / 10),
    Home: () => 0,
    End: () => parts.last(),
  };
  slider.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    go(step(place ?? parts.last()));
  });
  const follow = ({ offsetX, offsetY }: PointerEvent) => go(parts.placeAt(offsetX, offsetY));
  canvas.addEventListener("pointermove", follow);
  canvas.addEventListener("pointerdown", follow);
  canvas.addEventListener("pointerleave", () => document.activeElement === slider || go(null));
  slider.addEventListener("blur", () => go(null));
  update();
  return {
    root: element("div", { class: "chart" }, slider, said),
    get place() {
      return place;
    },
    update,
  };
}
