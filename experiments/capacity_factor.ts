// What does a token lose when an expert is full? One router at falling capacity, down to half of an even share.
import { findRouter } from "../routers/registry.ts";
import type { Experiment } from "./experiment.ts";

const factors = [2, 1.25, 1, 0.5];

export const capacityFactor: Experiment = {
  name: "capacity-factor",
  about:
    "How much does a smaller capacity factor cost a router that drops tokens (switch, unless others are named)?",
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
        label: `${router.name} f=${factor}`,
        router,
        options: { ...settings[router.name], capacityFactor: factor },
      }))
    );
  },
};
