// How sure routers are of a token (gate entropy) and how even the experts' load is (load entropy).
import { figure } from "./chart.ts";
import { binWidth, curve, type Line } from "./curves.ts";
import { linePanel } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import type { LayerLoad } from "../training/record.ts";
import { counted, fixed, list } from "./numbers.ts";
import type { Series } from "./series.ts";
import { mean } from "./statistics.ts";

function lines(
  series: readonly Series[],
  width: number,
  valueOf: (load: LayerLoad) => number | null,
): Line[] {
  return series.map((each) => ({
    series: each,
    points: curve(
      each.runs.map(({ steps }) =>
        steps.map(({ step, layers }) => {
          const values = layers.map(valueOf).filter((value) => value !== null);
          return { step, value: values.length === 0 ? null : mean(values) };
        })
      ),
      width,
    ),
  })).filter(({ points }) => points.length > 0);
}

/** Gate entropy and load entropy over steps. */
export function entropies(series: readonly Series[]): Markup {
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), 60);
  const gate = lines(series, width, (load) => load.gateEntropy);
  const load = lines(series, width, (each) => each.loadEntropy);
  const without = series.filter((each) => !gate.some((line) => line.series === each)).map(({ name }) => name);
  const experts = [
    ...new Set(
      series.flatMap(({ runs }) => (runs[0].steps[0]?.layers ?? []).map(({ wanted }) => wanted.length)),
    ),
  ];
  const rules = experts.map((count) => ({
    value: Math.log(count),
    text: `ln ${count} = ${fixed(Math.log(count), 2)}`,
  }));
  return figure(
    null,
    markup`Gate entropy: of the router's distribution over experts, mean over tokens; the rule is a router that finds all experts
equal. Load entropy: of the wanted load over experts, divided by ln E; 1 is even, 0 is one expert for all. Means over layers, each
point of ${counted(width, "step")}; bands reach from the lowest to the highest seed.${
      without.length > 0 ? ` No distribution, so no gate entropy: ${list(without)}.` : ""
    }`,
    [
      gate.length === 0 ? null : linePanel(
        "Gate entropy",
        "Gate entropy over steps, a line a router",
        { y: "nats", fromZero: true },
        gate,
        rules,
      ),
      linePanel("Load entropy", "Load entropy over steps, a line a router", { y: "share of ln E" }, load),
    ],
  );
}
