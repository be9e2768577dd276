// Who got the tokens: every expert's share of wanted assignments over steps, before capacity cuts it.
import { heatFigure, panel } from "./chart.ts";
import { binWidth } from "./curves.ts";
import { heatChart, heatLegend, isEven } from "./heat_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { counted, list } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";

/** Layers a run reports. */
export function layersOf(run: FinishedRun): number[] {
  return [...new Set(run.steps.flatMap(({ layers }) => layers.map(({ layer }) => layer)))].sort((a, b) =>
    a - b
  );
}

interface LoadOverSteps {
  /** Step at the left edge of the first column. */
  readonly from: number;
  /** First experts that every token goes to, which are left out. */
  readonly shared: number;
  /** [expert][column]: share over even share. */
  readonly ratios: readonly (readonly (number | null)[])[];
}

/** Wanted load of a layer, each column summed over `width` steps; experts that every token goes to are left out. */
export function loadOverSteps(run: FinishedRun, layer: number, width: number): LoadOverSteps {
  const columns = new Map<number, number[]>();
  let shared = 0;
  for (const row of run.steps) {
    const load = row.layers.find((each) => each.layer === layer);
    if (!load) continue;
    shared = load.shared ?? 0;
    const routed = load.wanted.slice(shared);
    const at = Math.floor(row.step / width);
    const column = columns.get(at);
    if (column) routed.forEach((count, expert) => column[expert] += count);
    else columns.set(at, routed);
  }
  const ordered = [...columns].sort(([a], [b]) => a - b).map(([, column]) => column);
  const experts = ordered[0]?.length ?? 0;
  const totals = ordered.map((wanted) => wanted.reduce((sum, count) => sum + count, 0));
  return {
    from: Math.min(...columns.keys()) * width,
    shared,
    ratios: Array.from(
      { length: experts },
      (_, expert) =>
        ordered.map((wanted, at) => totals[at] > 0 ? wanted[expert] * experts / totals[at] : null),
    ),
  };
}

/** Round steps below columns of `width` steps, about five of them. */
function stepTicks(from: number, width: number, count: number): { at: number; name: string }[] {
  const rough = Math.max(1, count * width / 5);
  const power = 10 ** Math.floor(Math.log10(rough));
  const every = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough)!;
  const first = Math.ceil(from / every) * every;
  const ticks = Array.from({ length: 15 }, (_, at) => first + at * every);
  return ticks.map((step) => ({ at: (step - from) / width, name: String(step) })).filter(({ at }) =>
    at <= count
  );
}

/** Heatmaps of load, one a router and layer, of the first seed; `tasks` share the cells that a page may hold. */
export function loadHeatmaps(series: readonly Series[], tasks = 1): Markup {
  const steps = Math.max(...series.map(({ header }) => header.steps));
  const maps = series.flatMap((each) => layersOf(each.runs[0]).map((layer) => ({ each, layer })));
  const experts = Math.max(1, ...series.map(({ runs }) => runs[0].steps[0]?.layers[0]?.wanted.length ?? 1));
  // About 40 000 cells a page at most.
  const width = binWidth(
    steps,
    Math.max(12, Math.min(75, Math.floor(40_000 / (maps.length * experts * tasks)))),
  );
  const seeds = [...new Set(series.map(({ runs }) => runs[0].header.seed))];
  const found = maps.map(({ each, layer }) => ({
    name: `${each.name}, layer ${layer}`,
    ...loadOverSteps(each.runs[0], layer, width),
  }));
  const even = found.filter(({ ratios }) => isEven(ratios));
  const panels = found.filter((each) => !even.includes(each)).map(({ name, from, shared, ratios }) => {
    const count = ratios[0]?.length ?? 0;
    return panel(
      name,
      heatChart(
        `Load of each expert over steps, ${name}`,
        ratios,
        { label: "step", count, ticks: stepTicks(from, width, count) },
        14,
        shared,
      ),
    );
  });
  return heatFigure(
    null,
    markup`Share of wanted assignments (before capacity) that each expert got, as a multiple of an even share. Each column is
${counted(width, "step")}. ${
      seeds.length === 1 ? `Seed ${seeds[0]} is shown` : "The first finished seed of each is shown"
    }; other seeds
may favour other experts. Layers are numbered by their block, from 0. Experts that every token goes to are left out.${
      even.length > 0
        ? ` Even throughout, every cell within 15% of an even share, and so not drawn: ${
          list(even.map(({ name }) => name))
        }.`
        : ""
    }`,
    panels,
    panels.length > 0 ? heatLegend("even") : null,
  );
}
