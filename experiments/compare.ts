// Which router trains the better language model at equal cost?
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

/** Compared unless others are named; the first is the baseline. `--routers all` takes every router there is. */
const usual = ["switch", "gshard", "hash"];

export const compare: Experiment = {
  name: "compare",
  about: "Which router trains the better language model at equal active FLOPs, data and initial weights?",
  variants({ routers: chosen, settings }) {
    return (chosen ?? usual.map(findRouter)).map((router) => ({
      label: router.name,
      router,
      options: settings[router.name] ?? {},
    }));
  },
};
