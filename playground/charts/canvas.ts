// A canvas as sharp as its screen, drawn anew when what it shows, its size or the colours change.
/// <reference lib="dom" />
import { element } from "../dom.ts";
import { currentTheme, type Theme } from "./theme.ts";

/** What drawing gets: a context in CSS pixels, and the size in them. */
export interface Surface {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  readonly theme: Theme;
}

/** A canvas in the page. */
export interface Canvas {
  readonly root: HTMLCanvasElement;
  /** Draws before the next frame. */
  redraw(): void;
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

/** A canvas whose height is set by the style. */
export function createCanvas(draw: (surface: Surface) => void): Canvas {
  const root = element("canvas", { "aria-hidden": "true" });
  const context = root.getContext("2d", { willReadFrequently: true })!;
  let asked = false;
  const paint = () => {
    asked = false;
    const { clientWidth: width, clientHeight: height } = root;
    if (width === 0 || height === 0) return;
    const sharpness = globalThis.devicePixelRatio || 1;
    const [columns, rows] = [Math.round(width * sharpness), Math.round(height * sharpness)];
    if (root.width !== columns || root.height !== rows) [root.width, root.height] = [columns, rows];
    context.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${FONT}`;
    draw({ context, width, height, theme: currentTheme() });
  };
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(paint);
  };
  new ResizeObserver(redraw).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  return { root, redraw };
}
