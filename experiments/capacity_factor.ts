// What does a token lose when an expert is full? One router at falling capacity, down to half of an even share.
import { findRouter } from "../routers/registry.ts";
import { type Experiment, routerVariant } from "./experiment.ts";

const factors = [2, 1.25, 1, 0.5];

export const capacityFactor: Experiment = {
  name: "capacity-factor",
  about:
    "How much does a smaller capacity factor cost a router that drops tokens (switch, unless others are named)?",
  tasks: [
    { label: "recall", settings: { "task.name": "recall" } },
    { label: "regimes", settings: { "task.name": "regimes" } },
  ],
  settings: { "model.equalCost": true },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "A smaller capacity factor changes the final validation loss.",
  },
  variants({ routers, settings }) {
    const compared = routers ?? [findRouter("switch")];
    const fixed = compared.find(({ name }) => settings[name] && "capacityFactor" in settings[name]);
    if (fixed) {
      throw new RangeError(
        `Cannot set ${fixed.name}.capacityFactor: this experiment varies it over ${factors.join(", ")}`,
      );
    }
    return compared.flatMap((router) =>
      factors.map((factor) => ({
        ...routerVariant(router, { ...settings[router.name], capacityFactor: factor }),
        label: `${router.name} f=${factor}`,
      }))
    );
  },
};
