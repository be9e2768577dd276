// How much of hash's lead over switch is the scale of the layer's output, and not routing? Switch weighs an expert's output
// by its probability p, about 1 / E at the start, and hash by 1; here switch is weighed in four ways.
import { findRouter } from "../routers/registry.ts";
import { type Experiment, routerVariant } from "./experiment.ts";

const scales = [
  ["p", "probability"],
  ["p E", "times experts"],
  ["1, gradient of p", "one"],
  ["1, no gradient", "normalized"],
] as const;

export const outputScale: Experiment = {
  name: "output-scale",
  about: "How much of hash's lead over switch is the scale of the layer's output, and how much is routing?",
  tasks: [
    { label: "languages", settings: { "task.name": "languages" } },
    { label: "recall", settings: { "task.name": "recall" } },
    { label: "regimes", settings: { "task.name": "regimes" } },
  ],
  settings: { "model.equalCost": true },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "The weight of the expert's output, all else equal, changes the final validation loss.",
  },
  variants({ routers, settings }) {
    if (routers) throw new RangeError("Cannot name routers for output-scale: it compares switch with hash");
    const [own, hash] = ["switch", "hash"].map(findRouter);
    return [
      ...scales.map(([label, outputScale]) => ({
        ...routerVariant(own, { ...settings.switch, outputScale }),
        label: `switch, weight ${label}`,
      })),
      routerVariant(hash, settings.hash),
    ];
  },
};
