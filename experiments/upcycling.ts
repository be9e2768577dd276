// What is a kept dense model worth to a mixture of experts, at equal steps? Name it with --set train.from=RUN, and leave the
// controls out: they are of other shapes, and none of them is upcycled.
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

const narrow = { "model.experts": 16, "model.expertWidth": 32, "router.k": 4 };

export const upcycling: Experiment = {
  name: "upcycling",
  about: "What is a dense model worth to a mixture of experts that starts from it, at equal steps?",
  tasks: [{ label: "languages", settings: { "task.name": "languages" } }],
  settings: { "model.equalCost": false, router: { name: "top-any", k: 2, capacityFactor: 0 } },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "Starting from a dense model changes the final validation loss of a mixture of experts.",
  },
  variants({ routers }) {
    if (routers) throw new RangeError("Cannot name routers for upcycling: it compares starts of top-any");
    findRouter("top-any");
    return [
      { label: "from scratch", settings: { "train.from": null } },
      { label: "copy", settings: { "train.conversion": "copy" } },
      { label: "noise", settings: { "train.conversion": "noise" } },
      { label: "drop", settings: { "train.conversion": "drop" } },
      { label: "copy in two parts", settings: { ...narrow, "train.conversion": "copy" } },
      { label: "from scratch, twice as many half as wide", settings: { ...narrow, "train.from": null } },
      { label: "dense, trained on", settings: { "model.moeEvery": 0 } },
    ];
  },
};
