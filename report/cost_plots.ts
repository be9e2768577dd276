// What routers cost: measured experts per token and FLOPs, over steps and beside the loss that they bought.
import { figure, legend, panel } from "./chart.ts";
import { type Cost, costOf, expertsPerToken, stepFlop, tokensPerStep } from "./cost.ts";
import { binWidth, curve, type CurvePoint, type Sample } from "./curves.ts";
import { type Line, lineChart } from "./line_chart.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { compact, compactPlusMinus, counted, expertsText, fixed, missing } from "./numbers.ts";
import type { FinishedRun, Series } from "./series.ts";
import { mean } from "./statistics.ts";

function shown<Value>(value: Value | null, text: (value: Value) => string): string {
  return value === null ? missing : text(value);
}

/** A row a series that was measured. */
function costTable(rows: readonly { series: Series; cost: Cost }[]): Markup {
  const layers = [...new Set(rows.flatMap(({ cost }) => cost.expertsByLayer.map(({ layer }) => layer)))].sort(
    (a, b) => a - b,
  );
  const experts = ({ cost }: { cost: Cost }, layer: number): string => {
    const found = cost.expertsByLayer.find((each) => each.layer === layer);
    return found ? fixed(found.experts, 2) : missing;
  };
  return table(
    "Measured cost of a token in training",
    [
      "Router",
      "Declared",
      "Experts per token",
      "Steps from",
      "to",
      ...layers.map((layer) => `Layer ${layer}`),
      "FLOP",
      "of experts",
      "of routers",
      "as planned",
    ],
    rows.map((row): Content[] => {
      const { series: { name, header }, cost } = row;
      return [
        name,
        String(header.expertsPerToken ?? header.experts.K),
        expertsText(cost.experts),
        fixed(cost.lowest, 2),
        fixed(cost.highest, 2),
        ...layers.map((layer) => experts(row, layer)),
        shown(cost.flop, compactPlusMinus),
        shown(cost.expertFlop, compactPlusMinus),
        shown(cost.routerFlop, compact),
        shown(cost.planned, compact),
      ];
    }),
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
        panel(
          "Experts per token",
          lineChart("Experts per token over steps, a line a router", {
            y: "experts per token",
            fromZero: true,
          }, experts),
        ),
        flops.length === 0 ? null : panel(
          "Validation loss against FLOPs spent",
          lineChart(
            "Validation loss against FLOPs of forward passes, a line a router",
            { x: "10¹² FLOPs", y: "nats per token" },
            flops,
          ),
        ),
      ],
      legend(series),
    )
  }${costTable(measured)}
<p class="meta">“± ” is half of the 95% interval over seeds; “from” and “to” are the lowest and highest step of any seed. Layers are
numbered by their block. FLOPs are of one token's forward pass; “as planned” has all declared experts and nothing dropped.${
    measured.some(({ cost }) => cost.flop && cost.routerFlop === null)
      ? " Where a router's own FLOPs are unknown, they are in no number."
      : ""
  }</p>`;
}
