// Everything that shows runs, in the order of the page.
/// <reference lib="dom" />
import { short } from "../charts/scale.ts";
import { byId, setText } from "../dom.ts";
import { problemText } from "../own/problem.ts";
import type { Session } from "../session.ts";
import { createDroppedChart, droppedPlot } from "./dropped.ts";
import { heatKey } from "./heat_key.ts";
import { createLayerChoice } from "./layer_choice.ts";
import { createLegend } from "./legend.ts";
import { loadNote, loadPlot } from "./load.ts";
import { createLossChart, lossPlot, marksOf } from "./loss.ts";
import { createTextList } from "./text_list.ts";
import { createHeatPanels } from "./panels.ts";
import { placeLines } from "./place.ts";
import { createRunTable } from "./runs.ts";
import { createScenes } from "./scene/scenes.ts";
import { shownRuns } from "./shown.ts";

/** The views. */
export interface Views {
  show(): void;
}

/** Puts all views into the page. @param changed Called when a view wants to be drawn anew. */
export function createViews(session: Session, changed: () => void): Views {
  const table = createRunTable();
  const layer = createLayerChoice(changed);
  const loss = createLossChart();
  const dropped = createDroppedChart();
  const said = createTextList("marks about");
  const legends = [createLegend(), createLegend()];
  const place = createTextList("about");
  byId("place").replaceChildren(place.root);
  byId("runs").replaceChildren(table.root);
  byId("layer-choice").replaceChildren(layer.root);
  byId("loss").replaceChildren(legends[0].root, loss.root, said.root);
  byId("dropped").replaceChildren(legends[1].root, dropped.root);
  byId("load-key").replaceChildren(heatKey());
  const load = createHeatPanels(
    byId("load"),
    "load",
    "Load by expert and step",
    ({ run }) => loadPlot(run, layer.place),
    ({ run }) => loadNote(run, layer.place),
  );
  const scenes = createScenes(byId("scene"), byId("scene-about"));
  return {
    show() {
      const all = shownRuns(session);
      const now = all.filter(({ faint }) => !faint);
      layer.show(session.runs[0]);
      table.show(now, layer.place);
      setText(byId("said"), saidOf(session));
      scenes.show(now, layer.place);
      for (const legend of legends) legend.show(all);
      const marks = marksOf(all, session.marks.found);
      loss.show(lossPlot(all, marks));
      said.show(marks.map(({ label, value }) => `${label} ${short(value)}`));
      load.show(now);
      dropped.show(droppedPlot(all, layer.place));
      place.show(placeLines(session.runs));
    },
  };
}

/** What is told in words: failures, and what still trains for the marks. */
function saidOf({ runs, marks }: Session): string {
  const failed = runs.flatMap(({ problem, start }) =>
    problem === null ? [] : [`${start.names.label}: ${problemText(problem).replace(/\.$/, "")}.`]
  );
  if (marks.busy) failed.push("Training the controls that the loss chart marks ...");
  return failed.join(" ");
}
