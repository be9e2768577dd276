// Which router trains the better language model at equal cost?
import { routers } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

export const compare: Experiment = {
  name: "compare",
  about: "Which router trains the better language model at equal active FLOPs, data and initial weights?",
  variants({ routers: chosen, settings }) {
    return (chosen ?? routers()).map((router) => ({
      label: router.name,
      router,
      options: settings[router.name] ?? {},
    }));
  },
};
