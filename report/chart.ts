// Observable Plot on a document without a browser. Charts are drawn narrow and laid out in a grid, so that their text
// stays readable on a phone; colours are CSS variables, so that one drawing serves light and dark.
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { type Content, escape, type Markup, markup, trusted } from "./markup.ts";

/** Width charts are drawn for, in CSS pixels; the page scales them a little up or down. */
export const chartWidth = 460;

/** The little of an SVG element that is used here. */
export interface Drawing {
  readonly outerHTML: string;
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  querySelector(selectors: string): { remove(): void } | null;
  querySelectorAll(selectors: string): Iterable<Drawing>;
}

interface DrawingDocument {
  createElementNS(space: string, name: string): Drawing;
}

const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as {
  document: DrawingDocument;
};

/** An SVG element for marks that Plot lacks. */
export function element(name: string, attributes: Readonly<Record<string, string>>): Drawing {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const geometry = ["x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform"] as const;

// Plot writes coordinates with all their digits; a hundredth of a pixel is enough and makes the page a third smaller.
function rounded(svg: Drawing): void {
  for (const name of geometry) {
    for (const drawn of svg.querySelectorAll(`[${name}]`)) {
      const value = drawn.getAttribute(name)!;
      drawn.setAttribute(
        name,
        value.replace(/-?\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2)))),
      );
    }
  }
}

/** What a mark's `ariaLabel` begins with when it is a line that a pointer may ask for its values. */
export const asked = "values of ";

interface LinearScale {
  readonly domain?: Iterable<unknown>;
  readonly range?: Iterable<unknown>;
}

/** Notes for the page's script: ends of both axes in values and in the drawing's units, and the names of lines. */
function forPointers(svg: Drawing & { scale?(name: "x" | "y"): LinearScale | undefined }): void {
  const lines = [...svg.querySelectorAll(`path[aria-label^="${asked}"]`)];
  if (lines.length === 0) return;
  for (const name of ["x", "y"] as const) {
    const { domain = [], range = [] } = svg.scale?.(name) ?? {};
    svg.setAttribute(`data-${name}`, [...domain, ...range].join(" "));
  }
  for (const line of lines) {
    // The document escapes only quotes in attributes.
    line.setAttribute("data-name", escape(line.getAttribute("aria-label")!.slice(asked.length)));
    line.removeAttribute("aria-label");
  }
}

/** Draws a chart; `label` is what a screen reader says in its place. */
export function chart(label: string, options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({
    width: chartWidth,
    height: 260,
    marginLeft: 54,
    marginBottom: 36,
    marginTop: 26,
    className: "plot",
    ...options,
    document: document as unknown as NonNullable<Plot.PlotOptions["document"]>,
  }) as unknown as Drawing;
  svg.querySelector("style")?.remove();
  // The page's style sheet scales the drawing; fixed attributes would only set it at print.
  svg.removeAttribute("height");
  forPointers(svg);
  // The drawing is one picture with one label; labels of its parts say "tip" and "rule".
  for (const part of svg.querySelectorAll("g[aria-label]")) part.removeAttribute("aria-label");
  rounded(svg);
  // The document escapes only quotes in attributes, so the label is put in here.
  return trusted(svg.outerHTML.replace("<svg", () => `<svg role="img" aria-label="${escape(label)}"`));
}

/** A chart with its own small title, one of several in a figure. */
export interface Panel extends Markup {
  /** Whether it takes the whole width. */
  readonly wide: boolean;
}

export function panel(title: string, drawing: Content, wide = false): Panel {
  const { html } = markup`<div class="panel${
    wide ? " wide" : ""
  }"><p class="name">${title}</p>${drawing}</div>`;
  return { html, wide };
}

/**
 * A figure: panels in a grid, then what they show and how it was worked out. It has a title of its own where its section
 * has several. Where the last panel leaves half the width free, the caption stands there.
 */
export function figure(
  title: string | null,
  caption: Content,
  panels: readonly (Panel | Markup | null)[],
  key: Content = null,
): Markup {
  const isWide = (each: Panel | Markup): boolean => "wide" in each && each.wide;
  const shown = panels.filter((each) => each !== null);
  const narrow = shown.slice(shown.findLastIndex(isWide) + 1).length;
  const place = narrow % 2 === 1 ? "beside" : "below";
  const heading = title === null ? null : markup`<h3>${title}</h3>`;
  return markup`<figure>${heading}${key}${shown}<figcaption class="${place}">${caption}</figcaption></figure>`;
}

/** A figure of many small panels, four beside each other on a wide page. */
export function heatFigure(
  title: string | null,
  caption: Content,
  panels: readonly (Panel | Markup)[],
  key: Content,
): Markup {
  const heading = title === null ? null : markup`<h3>${title}</h3>`;
  return markup`<figure class="maps">${heading}${key}${panels}${
    caption === null ? null : markup`<figcaption class="below">${caption}</figcaption>`
  }</figure>`;
}
