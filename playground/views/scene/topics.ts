// Where tokens go, by topic: for each, which share of its tokens each expert gets.
/// <reference lib="dom" />
import { createHeatChart, type HeatPlot } from "../../charts/heat_chart.ts";
import { percent } from "../../charts/scale.ts";
import { type ExpertsOf, tokensWhere } from "./look.ts";
import type { SceneView } from "./view.ts";

/** Tokens by expert and topic, and by topic alone. */
export interface TopicCounts {
  readonly counts: readonly (readonly number[])[];
  readonly totals: readonly number[];
}

/** Counts what experts keep. */
export function countTopics(topic_T: Int32Array, topics: number, { E, tokens }: ExpertsOf): TopicCounts {
  const counts = Array.from({ length: E }, () => new Array<number>(topics).fill(0));
  const totals = new Array<number>(topics).fill(0);
  tokens.forEach((token, at) => {
    const topic = topic_T[at];
    if (topic < 0) return;
    totals[topic]++;
    for (const { expert } of token?.kept ?? []) counts[expert][topic]++;
  });
  return { counts, totals };
}

/** What the table shows. */
export function topicsPlot(names: readonly string[], { counts, totals }: TopicCounts): HeatPlot {
  const share = (row: number, column: number) =>
    totals[column] === 0 ? 0 : counts[row][column] / totals[column];
  return {
    rows: counts.length,
    columns: names.length,
    filled: names.length,
    value: share,
    classOf: shareClass,
    name: (column) => names[column].replace(/^\D*/, ""),
    cell: (row, column) => share(row, column) >= 0.005 ? `${Math.round(100 * share(row, column))}` : "",
    text: (row, column) =>
      `${names[column]}, expert ${row}: ${percent(share(row, column))} of ${totals[column]} tokens`,
  };
}

/** Class of a share: none, or one of four quarters. */
function shareClass(share: number): number {
  return share < 0.02 ? 4 : 4 + Math.min(4, Math.ceil(4 * share));
}

/** The view; a column's tokens are those selected. @param moved Called when another cell is. */
export function createTopicsView(moved: () => void): SceneView {
  const chart = createHeatChart("Tokens by topic and expert", moved);
  let topics = 1;
  return {
    root: chart.root,
    show(scene, experts) {
      if (scene.kind !== "topics") return;
      topics = scene.names.length;
      chart.show(topicsPlot(scene.names, countTopics(scene.topic_T, topics, experts)));
    },
    selection(scene) {
      if (scene.kind !== "topics" || chart.place === null) return null;
      const topic = chart.place % topics;
      return { label: scene.names[topic], tokens: tokensWhere(scene.topic_T, topic) };
    },
  };
}
