// Which router routes best, on tasks where routing decides?
import { findRouter } from "../routers/registry.ts";
import { type Experiment, routerVariant } from "./experiment.ts";

/** Compared, with plugins, unless others are named. `--routers all` takes every router. */
const usual = [
  ...["switch", "gshard", "hash", "noisy-top-k", "locmoe", "locmoe-plus"],
  ...["skip", "gumbel-matching"],
];

export const compare: Experiment = {
  name: "compare",
  about:
    "How well does each router route, between random and the best routing known, at equal declared cost?",
  tasks: [
    { label: "recall", settings: { "task.name": "recall" } },
    { label: "regimes", settings: { "task.name": "regimes" } },
    { label: "regimes, skewed", settings: { "task.name": "regimes", "task.skew": 1 } },
    { label: "regimes, noisy", settings: { "task.name": "regimes", "task.noise": 0.2 } },
    // Later seeds scatter more while experts are worth less: at the task's 200 steps these routers are not told apart.
    { label: "languages", settings: { "task.name": "languages" }, unsized: { "train.steps": 60 } },
  ],
  settings: { "model.equalCost": true },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "Each router's final validation loss differs from the baseline's.",
  },
  variants({ routers: chosen, plugins, settings }) {
    return (chosen ?? [...usual.map(findRouter), ...plugins]).map((router) =>
      routerVariant(router, settings[router.name])
    );
  },
};
