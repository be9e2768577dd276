// Does LocMoE's locality loss keep tokens on their node, and what does it cost? Ranks train on their own parts of the
// text: were every rank to draw from all of it, nothing about a token would tell where it comes from.
import { findRouter } from "../routers/registry.ts";
import { type Experiment, routerVariant } from "./experiment.ts";

const weights = [0, 0.01, 0.1, 1];

export const locality: Experiment = {
  name: "locality",
  about:
    "Does the locality loss keep tokens on their own node when ranks read different text, and at what cost?",
  tasks: [{ label: "language", settings: { "task.name": "language" } }],
  settings: {
    "model.equalCost": true,
    "placement.ranks": 4,
    "placement.ranksPerNode": 2,
    "placement.sharded": true,
  },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "A heavier locality loss changes the final validation loss.",
  },
  variants({ routers, settings }) {
    return (routers ?? [findRouter("locmoe"), findRouter("locmoe-plus")]).flatMap((router) =>
      weights.map((weight) => ({
        ...routerVariant(router, { ...settings[router.name], locality: weight }),
        label: `${router.name} mu=${weight}`,
      }))
    );
  },
};
