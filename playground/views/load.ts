// Load by expert and step, as asked for before capacity: an even share is the middle class.
import { heatClass } from "../../report/palette.ts";
import type { HeatPlot } from "../charts/heat_chart.ts";
import { percent, short } from "../charts/scale.ts";
import type { Run } from "../run/run.ts";
import { layerAt } from "./shown.ts";

/** What the chart of a run's loads shows of a layer. */
export function loadPlot({ steps, header }: Run, layer: number | null): HeatPlot {
  const loadAt = (at: number) => layerAt(steps[at].layers, layer)?.wanted ?? [];
  const share = (row: number, at: number) => {
    const wanted = loadAt(at);
    const sum = wanted.reduce((total, count) => total + count, 0);
    return sum === 0 ? 0 : wanted[row] / sum;
  };
  const rows = steps.length > 0 ? loadAt(0).length : header?.experts.E ?? 1;
  return {
    rows: Math.max(1, rows),
    columns: Math.max(header?.steps ?? 1, steps.length),
    filled: steps.length,
    value: (row, at) => share(row, at) * rows,
    classOf: heatClass,
    text(row, at) {
      const kept = layerAt(steps[at].layers, layer)?.kept[row] ?? 0;
      return `step ${steps[at].step}, expert ${row}: ${percent(share(row, at))} of assignments asked for, ` +
        `${loadAt(at)[row]} of them, ${kept} kept`;
    },
  };
}

/** The last step's load in words: who has most, and who has nothing. */
export function loadNote({ steps }: Run, layer: number | null): string {
  const last = steps.at(-1);
  const load = last && layerAt(last.layers, layer);
  if (!last || !load) return "";
  const most = load.wanted.indexOf(Math.max(...load.wanted));
  const idle = load.wanted.flatMap((count, expert) => count === 0 ? [expert] : []);
  const none = idle.length === 0 ? "" : `; asked for nothing of ${idle.join(", ")}`;
  return `Step ${last.step}: most of expert ${most}, ${short(load.maxOverMean)} times an even share${none}.`;
}
