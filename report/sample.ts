// A short line in a series' colour and dash, to stand beside its name.
import { type Markup, markup } from "./markup.ts";
import { seriesColor, seriesDash } from "./palette.ts";
import type { Series } from "./series.ts";

export function sample({ index }: Pick<Series, "index">): Markup {
  return markup`<svg class="sample" viewBox="0 0 26 8" width="26" height="8" aria-hidden="true"><path d="M1,4H25" stroke="${
    seriesColor(index)
  }" stroke-width="3" stroke-dasharray="${seriesDash(index) ?? "none"}"/></svg>`;
}
