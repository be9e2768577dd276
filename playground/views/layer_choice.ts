// Which mixture is shown, where a model has several.
/// <reference lib="dom" />
import { element } from "../dom.ts";
import type { Run } from "../run/run.ts";

/** A list of layers, there only where there are several. */
export interface LayerChoice {
  readonly root: HTMLElement;
  /** Place in a run's list of mixtures; null for the last. */
  readonly place: number | null;
  show(run: Run | undefined): void;
}

/** The list. @param changed Called when another layer is chosen. */
export function createLayerChoice(changed: () => void): LayerChoice {
  const select = element("select", { id: "layer" });
  const root = element("p", { class: "about" }, element("label", { for: "layer" }, "Layer shown "), select);
  let place: number | null = null;
  let known = "";
  select.addEventListener("change", () => {
    place = Number(select.value);
    changed();
  });
  return {
    root,
    get place() {
      return place;
    },
    show(run) {
      const layers = run?.steps[0]?.layers.map(({ layer }) => layer) ?? [];
      root.hidden = layers.length < 2;
      if (known === layers.join()) return;
      known = layers.join();
      place = null;
      select.replaceChildren(...layers.map((layer, at) => element("option", { value: at }, String(layer))));
      select.value = String(layers.length - 1);
    },
  };
}
