// What the colours of heat charts mean.
/// <reference lib="dom" />
import { heatBounds, heatColor } from "../../report/palette.ts";
import { short } from "../charts/scale.ts";
import { element } from "../dom.ts";

/** The classes, from far below to far above an even share. */
export function heatKey(): HTMLElement {
  const last = heatBounds.length;
  const items = Array.from({ length: last + 1 }, (_, at) => {
    const cell = element("span", { class: "cell", "aria-hidden": "true" });
    cell.style.background = heatColor(at);
    const text = at === 0
      ? `below ${short(heatBounds[0])} of an even share`
      : at === last
      ? `${short(heatBounds[last - 1])} times and more`
      : at === last / 2
      ? "about even"
      : "";
    return element("li", {}, cell, text);
  });
  return element("ul", { class: "legend" }, ...items);
}
