// Where a step's time goes. Stages are medians on their own, so a bar's length is close to the median step, not equal.
import * as Plot from "@observablehq/plot";
import { mixtureStages, stages } from "../training/record.ts";
import { chart, figure, panel } from "./chart.ts";
import { nameAxis, rowsHeight } from "./interval_chart.ts";
import { type Markup, markup, table } from "./markup.ts";
import { fixed, list, missing } from "./numbers.ts";
import { seriesColor } from "./palette.ts";
import type { Series } from "./series.ts";
import { median } from "./statistics.ts";
import { ownTimings, peakBytesOf, secondsPerStep } from "./timings.ts";

const shared = stages.filter((stage) => stage !== "rest" && !mixtureStages.some((own) => own === stage));
/** Those of mixtures first, where routers differ, then what all share; `rest` last. */
const order: readonly string[] = [...mixtureStages, ...shared];

/** Names in the order of the bars: known stages, others by name, and what none claims. */
function ordered(found: ReadonlySet<string>): string[] {
  const others = [...found].filter((name) => !order.includes(name) && name !== "rest").sort();
  return [...order.filter((name) => found.has(name)), ...others, ...(found.has("rest") ? ["rest"] : [])];
}

/** Median seconds of each stage that a series' steps have, over steps and seeds. */
export function stageMedians(series: Series): Map<string, number> {
  const steps = ownTimings(series).flatMap((timing) => timing.steps);
  const names = ordered(new Set(steps.flatMap((step) => Object.keys(step.stages))));
  return new Map(names.map((stage) => [stage, median(steps.map((step) => step.stages[stage] ?? 0))]));
}

/** Medians of what a step hands to a device, of those that queue; null where none does. */
export function queueTable(series: readonly Series[]): Markup | null {
  const queuing = series.flatMap((each) => {
    const steps = each.timings.flatMap(({ steps }) => steps);
    const queues = steps.flatMap(({ queue }) => queue ?? []);
    const hostSeconds = steps.flatMap(({ hostSeconds }) => hostSeconds ?? []);
    return queues.length > 0 ? [{ name: each.name, queues, hostSeconds }] : [];
  });
  if (queuing.length === 0) return null;
  const names = ordered(
    new Set(
      queuing.flatMap(({ queues }) =>
        queues.flatMap(({ dispatchesByStage }) => Object.keys(dispatchesByStage))
      ),
    ),
  );
  return table(
    "Dispatches of a step by stage, gradients included; submits; waits for values; milliseconds not spent waiting",
    ["Router", ...names, "Dispatches", "Submits", "Reads", "Host ms"],
    queuing.map(({ name, queues, hostSeconds }) => [
      name,
      ...names.map((stage) =>
        String(median(queues.map(({ dispatchesByStage }) => dispatchesByStage[stage] ?? 0)))
      ),
      ...(["dispatches", "submits", "reads"] as const).map((count) =>
        String(median(queues.map((queue) => queue[count])))
      ),
      hostSeconds.length > 0 ? fixed(1000 * median(hostSeconds), 2) : missing,
    ]),
  );
}

/** Memory of a step, of series whose arrays were counted; null without any. */
export function memoryTable(series: readonly Series[]): Markup | null {
  const counted = series.flatMap((each) => {
    const bytes = peakBytesOf(each);
    return bytes === null ? [] : [{ name: each.name, bytes }];
  });
  if (counted.length === 0) return null;
  return table(
    "Memory of a step: the most that weights, moments, activations and gradients took at once",
    ["Router", "MiB"],
    counted.map(({ name, bytes }) => [name, fixed(bytes / 2 ** 20, 2)]),
  );
}

// Blues from dark to light are mixtures' own, and stand first, where bars are compared; what all routers share has paler
// hues, and `rest` is grey.
function stageColor(stage: string): string {
  const at = mixtureStages.findIndex((own) => own === stage);
  if (at >= 0) return `var(--stage-${at})`;
  return stage === "rest"
    ? "var(--rest)"
    : seriesColor(1 + Math.max(0, shared.findIndex((own) => own === stage)));
}

/** Of the same. */
function stageOpacity(stage: string): number {
  return mixtureStages.some((own) => own === stage) || stage === "rest" ? 1 : 0.55;
}

/** Stacked bars of stages and the same as a table; a sentence when nothing was timed. */
export function timePerStep(series: readonly Series[]): Markup {
  const timed = series.filter((each) => secondsPerStep(each) !== null);
  if (timed.length === 0) return markup`<p>No timings came with these runs.</p>`;
  const medians = new Map(timed.map((each) => [each, stageMedians(each)]));
  const names = ordered(new Set([...medians.values()].flatMap((each) => [...each.keys()])));
  const bars = timed.flatMap((each) =>
    [...medians.get(each)!].map(([stage, seconds]) => ({
      name: each.name,
      stage,
      milliseconds: seconds * 1000,
    }))
  );
  const { margin, text } = nameAxis(timed);
  const drawing = chart("Milliseconds of a step by stage and router", {
    height: rowsHeight(timed.length, 30),
    marginTop: 8,
    marginLeft: margin,
    marginRight: 20,
    x: { label: "milliseconds →", labelArrow: "none", labelAnchor: "right", ticks: 5, nice: true },
    y: {
      type: "band",
      domain: timed.map(({ name }) => name),
      label: null,
      tickFormat: text,
      tickSize: 0,
      padding: 0.25,
    },
    marks: [
      Plot.gridX({ stroke: "var(--grid)", strokeOpacity: 1, ticks: 5 }),
      Plot.barX(bars, {
        y: "name",
        x: "milliseconds",
        fill: ({ stage }) => stageColor(stage),
        fillOpacity: ({ stage }) => stageOpacity(stage),
        order: names,
        z: "stage",
        insetRight: 1,
        title: ({ name, stage, milliseconds }) => `${name}, ${stage}: ${fixed(milliseconds, 2)} ms`,
      }),
    ],
  });
  const key = markup`<ul class="legend" aria-label="Stages">${
    names.map((stage) =>
      markup`<li><svg class="sample" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><rect width="12" height="12" fill="${
        stageColor(stage)
      }" fill-opacity="${stageOpacity(stage)}"/></svg>${stage}</li>`
    )
  }</ul>`;
  const untimed = series.filter((each) => !timed.includes(each)).map(({ name }) => name);
  return markup`${
    figure(
      null,
      markup`Medians over steps and seeds; “rest” is what no stage claims. A bar adds the medians of its stages, which need not equal the
median step exactly. Timings differ from run to run and between machines.${
        untimed.length > 0 ? ` Without timings: ${list(untimed)}.` : ""
      }`,
      [panel("By stage", drawing)],
      key,
    )
  }${
    table(
      "Milliseconds of a step",
      ["Router", ...names, "Median step"],
      timed.map((each) => [
        each.name,
        ...names.map((stage) => {
          const seconds = medians.get(each)!.get(stage);
          return seconds === undefined ? missing : fixed(seconds * 1000, 2);
        }),
        fixed(secondsPerStep(each)! * 1000, 2),
      ]),
    )
  }${memoryTable(timed)}${queueTable(timed)}`;
}
