// Colours of the page for what is drawn on a canvas: the report's, read from the page's variables, so that light and dark
// are said in one place.
/// <reference lib="dom" />
import { heatColor, hues } from "../../report/palette.ts";

/** Colours by what they are for. */
export interface Theme {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly grid: string;
  readonly card: string;
  /** Of series and experts. */
  readonly series: readonly string[];
  /** Classes from far below to far above an even share. */
  readonly heat: readonly string[];
}

const HEAT_CLASSES = 9;

/** The colours that the page has now. */
export function currentTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: color("--ink"),
    muted: color("--muted"),
    line: color("--line"),
    grid: color("--grid"),
    card: color("--card"),
    series: hues.map((_, at) => color(`--series-${at}`)),
    heat: Array.from({ length: HEAT_CLASSES }, (_, at) => color(heatColor(at).slice(4, -1))),
  };
}

/** Red, green and blue of `#rrggbb`. */
export function channels(color: string): readonly [number, number, number] {
  const value = parseInt(color.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** `#rrggbb` as a pixel of an ImageData's buffer, opaque; every machine with a browser is little-endian. */
export function packed(color: string): number {
  const [red, green, blue] = channels(color);
  return (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
}

/** Black or white, whichever stands out from a colour more (relative luminance of WCAG 2). */
export function inkOn(color: string): string {
  const [red, green, blue] = channels(color).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}
