// Which router trains the better language model at equal cost?
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

/** Compared, with plugins, unless others are named; the first is the baseline. `--routers all` takes every router. */
const usual = ["switch", "gshard", "hash", "locmoe", "locmoe-plus", "skip", "gumbel-matching"];

export const compare: Experiment = {
  name: "compare",
  about: "Which router trains the better language model at equal active FLOPs, data and initial weights?",
  variants({ routers: chosen, plugins, settings }) {
    return (chosen ?? [...usual.map(findRouter), ...plugins]).map((router) => ({
      label: router.name,
      router,
      options: settings[router.name] ?? {},
    }));
  },
};
