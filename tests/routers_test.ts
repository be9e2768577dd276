// Every router there is against the contract, with its defaults and with options that change what it does.
import { routers } from "../routers/registry.ts";
import { routerContract, type Variant } from "./router_contract.ts";

/** Besides defaults, by router. A router without an entry is held to the contract with its defaults. */
const variants: Readonly<Record<string, readonly Variant[]>> = {
  hash: [
    { options: {}, noisy: false },
    { options: { table: "random" }, noisy: false },
  ],
  switch: [
    { options: {}, noisy: true },
    { options: { jitter: 0 }, noisy: false },
    { options: { jitter: 0, z: 0.001, capacityRule: "ceil", capacityFactor: 0.5 }, noisy: false },
    { options: { jitter: 0, dropOrder: "probability" }, noisy: false, traits: { causal: false } },
    { options: { jitter: 0, dropOrder: "random" }, noisy: true, traits: { causal: false } },
    {
      options: { jitter: 0, capacityRule: "dropless" },
      noisy: false,
      traits: { perToken: "exactly K" },
    },
  ],
  gshard: [
    { options: {}, noisy: true },
    { options: { second: "always" }, noisy: false },
    { options: { second: "always", groups: 3, balanceScale: "paper" }, noisy: false },
    { options: { second: "always", dropOrder: "probability" }, noisy: false },
    {
      options: { second: "always", capacityRule: "dropless" },
      noisy: false,
      traits: { causal: true, perToken: "exactly K" },
    },
  ],
  skip: [
    { options: {}, noisy: true },
    { options: { weighted: false, baseline: "none", groups: 3, balance: 0.01 }, noisy: true },
    { options: { gradient: "differentiable" }, noisy: true, traits: { gradient: "through weight" } },
    { options: { capacityRule: "dropless" }, noisy: true, traits: { perToken: "exactly K" } },
  ],
  "gumbel-matching": [
    { options: {}, noisy: true },
    { options: { proposal: "sinkhorn" }, noisy: true },
    { options: { weighted: false, baseline: "none" }, noisy: true },
    { options: { gradient: "differentiable" }, noisy: true, traits: { gradient: "through weight" } },
  ],
  base: [
    { options: {}, noisy: false },
    { options: { centroids: "normal", gain: 1 }, noisy: false },
  ],
  sinkhorn: [
    { options: {}, noisy: false },
    { options: { choices: 2, iterations: 3 }, noisy: false },
    { options: { capacityRule: "ceil" }, noisy: false },
    { options: { capacityRule: "ceil", dropOrder: "random" }, noisy: true },
  ],
};

for (const plugin of routers()) routerContract(plugin, variants[plugin.name]);
