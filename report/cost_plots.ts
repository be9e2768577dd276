// What routers cost: measured experts per token and FLOPs, over steps and beside the loss that they bought.
import { figure } from "./chart.ts";
import { type Cost, costOf, expertsPerToken, stepFlop, tokensPerStep } from "./cost.ts";
import { binWidth, curve, type CurvePoint, type Line, type Sample } from "./curves.ts";
import { linePanel } from "./line_chart.ts";
import { compactColumn, fixedColumn, plusMinusColumn } from "./columns.ts";
import { type Markup, markup, table } from "./markup.ts";
import { counted } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { mean } from "./statistics.ts";

/** A row a series that was measured. */
function costTable(rows: readonly { series: Series; cost: Cost }[]): Markup {
  const layers = [...new Set(rows.flatMap(({ cost }) => cost.expertsByLayer.map(({ layer }) => layer)))].sort(
    (a, b) => a - b,
  );
  const costs = rows.map(({ cost }) => cost);
  const ofLayer = (cost: Cost, layer: number): number | null =>
    cost.expertsByLayer.find((each) => each.layer === layer)?.experts ?? null;
  const columns: readonly [string, readonly string[]][] = [
    ["Declared", rows.map(({ series: { header } }) => String(header.expertsPerToken ?? header.experts.K))],
    ["Experts per token", plusMinusColumn(costs.map(({ experts }) => experts), 2)],
    ["Steps from", fixedColumn(costs.map(({ lowest }) => lowest), 2)],
    ["to", fixedColumn(costs.map(({ highest }) => highest), 2)],
    ...layers.map((layer): [string, string[]] => [
      `Layer ${layer}`,
      fixedColumn(costs.map((cost) => ofLayer(cost, layer)), 2),
    ]),
    ["FLOP", compactColumn(costs.map(({ flop }) => flop))],
    ["of experts", compactColumn(costs.map(({ expertFlop }) => expertFlop))],
    ["of routers", compactColumn(costs.map(({ routerFlop }) => routerFlop))],
    ["as planned", compactColumn(costs.map(({ planned }) => planned))],
  ];
  return table(
    "Measured cost of a token in training",
    ["Router", ...columns.map(([title]) => title)],
    rows.map(({ series }, at) => [series.name, ...columns.map(([, cells]) => cells[at])]),
  );
}

function expertsOf({ header, steps }: FinishedRun): Sample[] {
  const tokens = tokensPerStep(header)!;
  return steps.map((row) => ({
    step: row.step,
    value: row.layers.length === 0 ? null : mean(expertsPerToken(row, tokens).map(({ experts }) => experts)),
  }));
}

/** FLOPs of forward passes over all tokens before each evaluation, in units of 10^12, with its loss. */
function spent(run: FinishedRun): { step: number; teraflop: number; loss: number }[] {
  const tokens = tokensPerStep(run.header)!;
  let flop = 0;
  let at = 0;
  return run.evaluations.toSorted((a, b) => a.step - b.step).map(({ step, loss }) => {
    // A row of step n is the (n + 1)-th step; an evaluation at n comes after n of them.
    for (; at < Math.min(step, run.steps.length); at++) flop += stepFlop(run, run.steps[at])! * tokens;
    return { step, teraflop: flop / 1e12, loss };
  });
}

/** Loss against FLOPs: means over seeds of both, evaluation by evaluation. */
function lossByFlop({ runs }: Series): CurvePoint[] {
  const all = runs.map(spent);
  const flops = curve(all.map((rows) => rows.map(({ step, teraflop }) => ({ step, value: teraflop }))), 1);
  const losses = curve(all.map((rows) => rows.map(({ step, loss }) => ({ step, value: loss }))), 1);
  return losses.map((point, at) => ({ ...point, step: flops[at].mean }));
}

/** Experts per token over steps, loss against FLOPs, and both as a table; a sentence when nothing was measured. */
export function costs(series: readonly Series[]): Markup {
  const measured = series.flatMap((each) => {
    const cost = costOf(each);
    return cost ? [{ series: each, cost }] : [];
  });
  if (measured.length === 0) return markup`<p>These runs recorded nothing to measure cost by.</p>`;
  const width = binWidth(Math.max(...series.map(({ header }) => header.steps)), 60);
  const experts = measured.map(({ series: each }): Line => ({
    series: each,
    points: curve(each.runs.map(expertsOf), width),
  })).filter(({ points }) => points.length > 0);
  const flops = measured.filter(({ cost }) => cost.flop !== null).map(({ series: each }): Line => ({
    series: each,
    points: lossByFlop(each),
  })).filter(({ points }) => points.length > 0);
  return markup`${
    figure(
      null,
      markup`An expert counts where it kept a token, so drops lower the cost and a router that gives tokens more experts than it
declares raises it. Means over layers, each point of ${
        counted(width, "step")
      }. FLOPs are those of forward passes over all
training tokens so far; lower and further left is better. Bands reach from the lowest to the highest seed.`,
      [
        linePanel(
          "Experts per token",
          "Experts per token over steps, a line a router",
          { y: "experts per token", fromZero: true },
          experts,
        ),
        flops.length === 0 ? null : linePanel(
          "Validation loss against FLOPs spent",
          "Validation loss against FLOPs of forward passes, a line a router",
          { x: "10¹² FLOPs", y: "nats per token" },
          flops,
        ),
      ],
    )
  }${costTable(measured)}
<p class="meta">“± ” is half of the 95% interval over seeds; “from” and “to” are the lowest and highest step of any seed. Layers are
numbered by their block. FLOPs are of one token's forward pass; “as planned” has all declared experts and nothing dropped.${
    measured.some(({ cost }) => cost.flop && cost.routerFlop === null)
      ? " Where a router's own FLOPs are unknown, they are in no number."
      : ""
  }</p>`;
}
