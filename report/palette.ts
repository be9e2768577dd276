// Colours as CSS variables, so that one SVG serves light, dark and print. Ten hues, searched for contrast of at least
// 3 to 1 with the page and for distance also under red-green blindness; further routers repeat them dashed.

export const surfaces = { light: "#fbfbfa", dark: "#16191c" } as const;

/** Hues of series in light and dark. */
export const hues: readonly { readonly light: string; readonly dark: string }[] = [
  { light: "#1816b3", dark: "#9eb8fb" },
  { light: "#a0500d", dark: "#f49555" },
  { light: "#14997b", dark: "#60d7b4" },
  { light: "#b01886", dark: "#d74faa" },
  { light: "#9e862c", dark: "#f4cc2a" },
  { light: "#695fd0", dark: "#8278f7" },
  { light: "#0086b8", dark: "#15a2db" },
  { light: "#901121", dark: "#d85f60" },
  { light: "#004d06", dark: "#7aeb79" },
  { light: "#4b555e", dark: "#d0dce7" },
];

const dashes = [undefined, "6 3", "2 3", "9 3 2 3"] as const;

/** Nine classes from far below to far above an even share. */
const heat: readonly { readonly light: string; readonly dark: string }[] = [
  { light: "#0b4f8a", dark: "#6fb7f2" },
  { light: "#3f86c0", dark: "#4389bf" },
  { light: "#8bbbe0", dark: "#2d628c" },
  { light: "#c6dff0", dark: "#25435a" },
  { light: "#eeeeec", dark: "#2a2d30" },
  { light: "#f8d9b8", dark: "#533d27" },
  { light: "#efad6c", dark: "#8a5a27" },
  { light: "#d0742a", dark: "#c97f33" },
  { light: "#8f4306", dark: "#f6b566" },
];

/** Lower bounds of classes 1 to 8, as a ratio to the even share. */
export const heatBounds: readonly number[] = [1 / 4, 1 / 2, 1 / 1.5, 1 / 1.15, 1.15, 1.5, 2, 4];

/** Class of a ratio to the even share: 0 far below, 4 about even, 8 far above. */
export function heatClass(ratio: number): number {
  const above = heatBounds.findIndex((bound) => ratio < bound);
  return above < 0 ? heatBounds.length : above;
}

export function heatColor(index: number): string {
  return `var(--heat-${index})`;
}

/** Colour of the series at a place in the experiment's list; controls, below 0, are grey. */
export function seriesColor(index: number): string {
  return index < 0 ? "var(--muted)" : `var(--series-${index % hues.length})`;
}

const controlDashes = ["1 3", "8 4", "4 3 1 3", "2 5", "12 3"] as const;

/** Dash pattern of the same, undefined for a full line. */
export function seriesDash(index: number): string | undefined {
  if (index < 0) return controlDashes[(-1 - index) % controlDashes.length];
  return dashes[Math.floor(index / hues.length) % dashes.length];
}

/** Values of all colour variables in one theme. */
export function colorVariables(theme: "light" | "dark"): string {
  return [
    `--surface: ${surfaces[theme]};`,
    ...hues.map((hue, at) => `--series-${at}: ${hue[theme]};`),
    ...heat.map((color, at) => `--heat-${at}: ${color[theme]};`),
  ].join(" ");
}

/** Rules that give what a selector finds the hue of its class `e0`, `e1`, ... as the colour of its border. */
export function seriesBorders(selector: string): string {
  return hues.map((_, at) => `${selector}.e${at} { border-color: var(--series-${at}); }`).join(" ");
}

/** Classes of an expert's border: its hue, and with more experts than hues a style, 1 and then 2. */
export function borderClasses(expert: number): string {
  return `e${expert % hues.length} s${Math.min(2, Math.floor(expert / hues.length))}`;
}
