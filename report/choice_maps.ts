// Which expert shares tokens with which, and which follows which from one mixture to the next: heatmaps of one seed, because
// an expert's number means nothing in another.
import { heatFigure, panel } from "./chart.ts";
import { expertHeat, partners } from "./expert_heat.ts";
import { heatLegend } from "./heat_chart.ts";
import { folds } from "./folds.ts";
import { type Content, type Markup, markup } from "./markup.ts";
import { list } from "./numbers.ts";
import type { Series } from "./series.ts";
import { lift } from "./specialisation_plots.ts";

interface ExpertMap {
  readonly name: string;
  readonly drawn: Markup | null;
}

function mapsOf({ name, runs: [run] }: Series): ExpertMap[] {
  const choices = run.end.choices ?? [];
  const sharedOf = (layer: number) => choices.find((each) => each.layer === layer)?.shared ?? 0;
  return choices.flatMap(({ layer, shared, together, flow }): ExpertMap[] => [
    ...(together
      ? [{
        name: `Layer ${layer}: together`,
        drawn: expertHeat(
          `Experts that tokens of layer ${layer} go to together, ${name}`,
          partners(together),
          { rows: shared, columns: shared },
          "expert",
        ),
      }]
      : []),
    ...(flow
      ? [{
        name: `Layer ${layer} to ${flow.to}`,
        drawn: expertHeat(
          `Experts of layer ${layer} against those of layer ${flow.to}, ${name}`,
          lift(flow.counts),
          { rows: shared, columns: sharedOf(flow.to) },
          `expert in layer ${flow.to}`,
        ),
      }]
      : []),
  ]);
}

/** Heatmaps of experts against experts, of the first seed. */
export function choiceMaps(series: readonly Series[]): Content {
  const all = new Map(
    series.map((each) => [each, mapsOf(each)] as const).filter(([, maps]) => maps.length > 0),
  );
  if (all.size === 0) return null;
  const seeds = [...new Set(Array.from(all.keys(), ({ runs }) => runs[0].header.seed))];
  return markup`<h3>Which expert with which</h3><p class="meta">${
    seeds.length === 1 ? `Seed ${seeds[0]}` : "The first finished seed of each"
  }. Together: rows are experts, columns how often another takes the same token, as a multiple of that one's share of all
partners. From layer to layer: rows are the expert that weighs most in the one mixture, columns that in the next, as a multiple of
what independent choices would give.</p>${heatLegend("as by chance")}${
    folds([...all.keys()], (each) => {
      const maps = all.get(each)!;
      const drawn = maps.flatMap(({ name, drawn }) => drawn ? [panel(name, drawn)] : []);
      const even = maps.filter(({ drawn }) => !drawn).map(({ name }) => name);
      const said = even.length > 0
        ? markup`As by chance in every cell, and so not drawn: ${list(even)}.`
        : null;
      return heatFigure(null, said, drawn, null);
    })
  }`;
}
