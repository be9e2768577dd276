// Every router there is against the contract, with its defaults and with options that change what it does.
import { routers } from "../routers/registry.ts";
import { routerContract, type Variant } from "./router_contract.ts";

/** Besides defaults, by router. A router without an entry is held to the contract with its defaults. */
const variants: Readonly<Record<string, readonly Variant[]>> = {
  hash: [
    { options: {}, noisy: false },
    { options: { table: "random" }, noisy: false },
    ...["previous", "bigram", "position"].flatMap((key) => [
      { options: { key }, noisy: false },
      { options: { key, table: "random" }, noisy: false },
    ]),
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
    { options: { second: "threshold", secondThreshold: 0.4 }, noisy: false },
    { options: { second: "mesh-random", secondThreshold: 0.8 }, noisy: true },
    { options: { second: "gumbel", normalise: "after" }, noisy: true },
    {
      options: { second: "always", capacityRule: "dropless" },
      noisy: false,
      traits: { causal: true, perToken: "exactly K" },
    },
  ],
  locmoe: [
    { options: {}, noisy: false },
    { options: { gate: "orthogonal", noise: 0.1 }, noisy: true },
    { options: { rectify: false, capacity: "bound", delta: 0.6, locality: 0 }, noisy: false },
    { options: { capacityRule: "dropless" }, noisy: false, traits: { perToken: "exactly K" } },
  ],
  "locmoe-plus": [
    { options: {}, noisy: false },
    { options: { mode: "tcr" }, noisy: false, traits: { causal: true, perToken: "up to K" } },
    { options: { mode: "ecr" }, noisy: false },
    { options: { mode: "ecr", weight: "kept", threshold: null }, noisy: false },
    { options: { mode: "schedule", scheduleSteps: 2 }, noisy: false },
    { options: { boundEvery: 4, boundMemory: 0.5 }, noisy: false },
    { options: { choices: 2, weight: "kept" }, noisy: false, traits: { perToken: "up to K" } },
    {
      options: { choices: 3, weight: "locmoe", bound: "fixed" },
      noisy: false,
      traits: { perToken: "up to K" },
    },
  ],
};

for (const plugin of routers()) routerContract(plugin, variants[plugin.name]);
