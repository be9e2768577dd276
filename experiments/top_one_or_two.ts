// Why do routers with two choices lead: the second choice, finer experts, or exploration? One router with and without each.
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

/** Dropless top-any, so that neither capacity nor drops have a part in it. */
function topAny(k: number, noise: number): Record<string, unknown> {
  return { router: { name: "top-any", k, capacityFactor: 0, noise } };
}

export const topOneOrTwo: Experiment = {
  name: "top-1-or-2",
  about: "Why do routers with two choices lead: the second choice, finer experts, or exploration?",
  tasks: [
    { label: "recall", settings: { "task.name": "recall" } },
    { label: "regimes", settings: { "task.name": "regimes" } },
  ],
  settings: { "model.equalCost": false },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "A second choice, finer experts or noise on the scores changes the final validation loss.",
  },
  variants({ routers }) {
    if (routers) throw new RangeError("Cannot name routers for top-1-or-2: it varies top-any");
    findRouter("top-any");
    const fine = { "model.experts": 16, "model.expertWidth": 16 };
    return [
      { label: "one of 8", settings: topAny(1, 0) },
      { label: "one of 8, noise", settings: topAny(1, 1) },
      { label: "one of 16 half as wide (half the FLOPs)", settings: { ...topAny(1, 0), ...fine } },
      { label: "two of 16 half as wide", settings: { ...topAny(2, 0), ...fine } },
      { label: "two of 16 half as wide, noise", settings: { ...topAny(2, 1), ...fine } },
      { label: "two of 8 (twice the FLOPs)", settings: topAny(2, 0) },
    ];
  },
};
