// Does LocMoE's locality loss keep tokens on their node, and what does it cost? Ranks train on their own parts of the
// text: were every rank to draw from all of it, nothing about a token would tell where it comes from.
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

const weights = [0, 0.01, 0.1, 1];

export const locality: Experiment = {
  name: "locality",
  about:
    "Does the locality loss keep tokens on their own node when ranks read different text, and at what cost?",
  judgement: {
    metric: "localShare",
    direction: "higher",
    margin: null,
    claim: "The locality loss raises the share of assignments that stay on their own node.",
  },
  size: { sharded: true },
  variants({ routers, settings }) {
    return (routers ?? [findRouter("locmoe"), findRouter("locmoe-plus")]).flatMap((router) =>
      weights.map((weight) => ({
        label: `${router.name} mu=${weight}`,
        router,
        options: { ...settings[router.name], locality: weight },
      }))
    );
  },
};
