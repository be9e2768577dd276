// Experts against experts as a heatmap: how often two come together, as a multiple of what chance gives.
import { heatChart, isEven, type Ratios } from "./heat_chart.ts";
import type { Markup } from "./markup.ts";

/**
 * How often an expert's partner is another, as a multiple of that one's share of all partners but the expert itself: 1 is what
 * chance gives. Null on the diagonal, and where there are none.
 */
export function partners(together: readonly (readonly number[])[]): (number | null)[][] {
  const pairs = together.map((row) => row.reduce((sum, count) => sum + count, 0));
  const all = pairs.reduce((sum, count) => sum + count, 0);
  return together.map((row, a) =>
    row.map((count, b) =>
      a === b || pairs[a] === 0 || pairs[b] === 0 ? null : count / pairs[a] * (all - pairs[a]) / pairs[b]
    )
  );
}

/**
 * A heatmap without experts that every token goes to; null where it would be even throughout.
 * @param shared First experts left out of rows and of columns.
 * @param across What stands below the columns.
 */
export function expertHeat(
  label: string,
  all: Ratios,
  shared: { readonly rows: number; readonly columns: number },
  across: string,
): Markup | null {
  const ratios = all.slice(shared.rows).map((row) => row.slice(shared.columns));
  if (isEven(ratios)) return null;
  const count = ratios[0]?.length ?? 0;
  const every = Math.ceil(count / 10);
  const ticks = Array.from({ length: count }, (_, at) => at).filter((at) => at % every === 0)
    .map((at) => ({ at: at + 0.5, name: String(at + shared.columns) }));
  return heatChart(label, ratios, { label: across, count, ticks }, 16, shared.rows);
}
