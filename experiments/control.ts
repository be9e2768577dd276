// How much are experts worth, by task, size and steps? Controls do the telling; one router stands beside them.
import { findSize, type SizeName, vocabularies } from "../models/sizes.ts";
import { findRouter } from "../routers/registry.ts";
import { type Experiment, type ExperimentTask, routerVariant } from "./experiment.ts";

/** Language of a size, with a mixture in every layer or in every second one. */
function language(size: SizeName, steps: number, moeEvery: number): ExperimentTask {
  const layers = moeEvery === 1 ? "every layer" : "every second layer";
  return {
    label: `language, ${size}, ${steps} steps, ${layers}`,
    settings: {
      "task.name": "language",
      ...findSize(size),
      "task.vocabulary": vocabularies[size],
      "train.steps": steps,
      "model.moeEvery": moeEvery,
    },
  };
}

const short = (name: string, steps: number): ExperimentTask => ({
  label: `${name}, ${steps} steps`,
  settings: { "task.name": name, "train.steps": steps },
});

export const control: Experiment = {
  name: "control",
  about: "How much are experts worth, by task, size and steps, and where can routers be told apart at all?",
  tasks: [
    short("recall", 150),
    short("recall", 600),
    short("regimes", 200),
    short("regimes", 800),
    short("languages", 100),
    short("languages", 200),
    language("tiny", 60, 2),
    language("tiny", 200, 2),
    language("tiny", 200, 1),
    language("tiny", 600, 1),
    language("small", 150, 2),
  ],
  settings: { "model.equalCost": true },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "Experts are worth at least ten times what seeds move a difference between two routers by.",
  },
  variants({ routers, settings }) {
    return (routers ?? ["switch", "gshard"].map(findRouter)).map((router) =>
      routerVariant(router, settings[router.name])
    );
  },
};
