// What routers cost, measured from the assignments that experts kept and not from what routers declare. A router that
// drops tokens spends less than it may; one that gives tokens more experts than planned spends more.
import type { RunHeader, StepRow } from "../training/record.ts";
import type { FinishedRun, Series } from "./series.ts";
import { type Estimate, estimate, mean } from "./statistics.ts";

/** Costs within this share of one another are called equal. */
export const equalWithin = 0.05;

/** Measured cost of a series. */
export interface Cost {
  /** Experts that a token went through in an MoE layer: mean over layers and steps, over seeds. */
  readonly experts: Estimate;
  /** The same by layer, over steps and seeds. */
  readonly expertsByLayer: readonly { readonly layer: number; readonly experts: number }[];
  /** Lowest and highest mean over layers of any step. */
  readonly lowest: number;
  readonly highest: number;
  /** FLOPs of a token's forward pass, mean over steps, over seeds; null in records that do not say what an expert costs. */
  readonly flop: Estimate | null;
  readonly flopBySeed: ReadonlyMap<number, number> | null;
  /** Of the experts alone. */
  readonly expertFlop: Estimate | null;
  /** Of the routers of all layers; null when unknown. */
  readonly routerFlop: number | null;
  /** FLOPs of a token's forward pass with as many experts as declared, none dropped. */
  readonly planned: number | null;
}

/** Tokens one step trains on; null when not recorded. */
export function tokensPerStep({ model, tokensPerStep: counted }: RunHeader): number | null {
  if (counted !== undefined) return counted;
  if (typeof model.tokensPerStep === "number") return model.tokensPerStep;
  const { batch, length } = model;
  return typeof batch === "number" && typeof length === "number" ? batch * length : null;
}

/** Experts that a token went through in each MoE layer of a step. */
export function expertsPerToken(row: StepRow, tokens: number): { layer: number; experts: number }[] {
  return row.layers.map(({ layer, kept }) => ({
    layer,
    experts: kept.reduce((sum, count) => sum + count, 0) / tokens,
  }));
}

/** Applications of experts to a token in a step, over all layers. */
function applications(row: StepRow, tokens: number): number {
  return expertsPerToken(row, tokens).reduce((sum, { experts }) => sum + experts, 0);
}

/** FLOPs of a token's forward pass whose experts take `experts` of them; null when the record does not say. */
function flopWith({ flop }: RunHeader, experts: number): number | null {
  return flop ? flop.dense + experts + (flop.router ?? 0) : null;
}

/** FLOPs of experts for a token of a step, over all layers; null when the record does not say what experts cost. */
function expertsFlop({ flop }: RunHeader, row: StepRow, tokens: number): number | null {
  if (!flop) return null;
  const { byExpert, expert } = flop;
  if (!byExpert) return expert * applications(row, tokens);
  const spent = row.layers.flatMap(({ kept }, layer) => kept.map((count, e) => count * byExpert[layer][e]));
  return spent.reduce((sum, each) => sum + each, 0) / tokens;
}

/** FLOPs of a token's forward pass in a step, as measured; null when the record does not say what experts cost. */
export function stepFlop({ header }: FinishedRun, row: StepRow): number | null {
  const tokens = tokensPerStep(header);
  return tokens === null ? null : flopWith(header, expertsFlop(header, row, tokens) ?? 0);
}

function byLayer(runs: readonly FinishedRun[], tokens: number): Cost["expertsByLayer"] {
  const rows = runs.flatMap(({ steps }) => steps.flatMap((row) => expertsPerToken(row, tokens)));
  return [...Map.groupBy(rows, ({ layer }) => layer)].map(([layer, each]) => ({
    layer,
    experts: mean(each.map(({ experts }) => experts)),
  }));
}

/** Measured cost of a series with finished runs; null when its records count no tokens or hold no steps. */
export function costOf({ header, runs }: Series): Cost | null {
  const tokens = tokensPerStep(header);
  if (tokens === null || runs.length === 0 || runs.some(({ steps }) => steps.length === 0)) return null;
  const layers = runs[0].steps[0].layers.length;
  if (layers === 0 && !header.flop) return null;
  const applied = runs.map(({ steps }) => steps.map((row) => applications(row, tokens)));
  const means = applied.map(mean);
  const perLayer = (count: number): number => layers === 0 ? 0 : count / layers;
  const spent = header.flop
    ? runs.map(({ header, steps }, at) =>
      header.flop?.byExpert
        ? mean(steps.map((row) => expertsFlop(header, row, tokens)!))
        : means[at] * header.flop!.expert
    )
    : null;
  const flops = spent && spent.map((experts) => flopWith(header, experts)!);
  return {
    experts: estimate(means.map(perLayer)),
    expertsByLayer: byLayer(runs, tokens),
    lowest: perLayer(applied.flat().reduce((low, count) => Math.min(low, count))),
    highest: perLayer(applied.flat().reduce((high, count) => Math.max(high, count))),
    flop: flops && estimate(flops),
    flopBySeed: flops && new Map(runs.map((run, at) => [run.header.seed, flops[at]])),
    expertFlop: spent && estimate(spent),
    routerFlop: header.flop?.router ?? null,
    planned: flopWith(
      header,
      layers * (header.expertsPerToken ?? header.experts.K) * (header.flop?.expert ?? 0),
    ),
  };
}

/**
 * Whether a router spends more than another may: over 5% more than the other spent or planned, whichever is larger. The plan
 * counts because a router that drops tokens wastes what it was given, and one that drops none does not cheat. False where
 * either was not measured.
 */
export function spendsMore(own: Cost, other: Cost): boolean {
  if (!own.flop || !other.flop) return false;
  return own.flop.mean > (1 + equalWithin) * Math.max(other.flop.mean, other.planned!);
}

/** Whether all were measured and lie within 5% of one another. */
export function areEqual(costs: readonly (Cost | null)[]): boolean {
  const flops = costs.map((cost) => cost?.flop?.mean ?? NaN);
  return Math.max(...flops) <= (1 + equalWithin) * Math.min(...flops);
}
