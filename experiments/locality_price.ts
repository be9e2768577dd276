// Why do locmoe and locmoe-plus score low at their defaults: the capacity rule, drops, the gate, or the locality loss? Each
// variant takes one of them away.
import { findRouter } from "../routers/registry.ts";
import { type Experiment, routerVariant, type Variant } from "./experiment.ts";

const without: readonly (readonly [string, string, Record<string, unknown>])[] = [
  ["locmoe", "defaults", {}],
  ["locmoe", "dropless", { capacityFrom: "factor", capacityRule: "dropless" }],
  ["locmoe", "no locality loss", { locality: 0 }],
  ["locmoe", "learned gate", { gate: "orthogonal" }],
  ["locmoe", "learned gate, not rectified", { gate: "orthogonal", rectify: false }],
  ["locmoe", "learned gate, dropless", {
    gate: "orthogonal",
    capacityFrom: "factor",
    capacityRule: "dropless",
  }],
  ["locmoe-plus", "defaults", {}],
  ["locmoe-plus", "tokens alone choose", { mode: "tcr" }],
  ["locmoe-plus", "no threshold", { threshold: null }],
  ["locmoe-plus", "dropless", { mode: "tcr", bound: "off", capacityRule: "dropless", threshold: null }],
];

export const localityPrice: Experiment = {
  name: "locality-price",
  about:
    "Why do locmoe and locmoe-plus score low at their defaults: capacity, drops, the gate, or the locality loss?",
  tasks: [
    { label: "recall", settings: { "task.name": "recall" } },
    { label: "regimes", settings: { "task.name": "regimes" } },
  ],
  settings: { "model.equalCost": true },
  judgement: {
    metric: "loss",
    direction: "lower",
    margin: null,
    claim: "Without one of its parts, locmoe or locmoe-plus ends at another loss.",
  },
  variants({ routers }) {
    if (routers) {
      throw new RangeError("Cannot name routers for locality-price: it varies locmoe and locmoe-plus");
    }
    return without.map(([name, label, options]): Variant => ({
      ...routerVariant(findRouter(name), options),
      label: label === "defaults" ? name : `${name}, ${label}`,
    }));
  },
};
