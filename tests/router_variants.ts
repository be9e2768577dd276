// Options that change what routers do: each router is held to the contract with all of its entries.
import type { Variant } from "./router_contract.ts";

/** Besides defaults, by router. A router without an entry is held to the contract with its defaults. */
export const routerVariants: Readonly<Record<string, readonly Variant[]>> = {
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
    { options: { second: "gumbel", normalize: "after" }, noisy: true },
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
    { options: { k: 2, sinkhornIterations: 3 }, noisy: false },
    { options: { capacityRule: "ceil" }, noisy: false },
    { options: { capacityRule: "ceil", dropOrder: "random" }, noisy: true },
  ],
  "noisy-top-k": [
    { options: {}, noisy: true },
    {
      options: { k: 2, noise: "fixed", threshold: "shared", variance: "sample" },
      noisy: true,
    },
    { options: { k: 8, noiseFloor: 0.01 }, noisy: true },
    {
      options: { gating: "strict", k: 2 },
      noisy: false,
      byLoss: ["threshold"],
      traits: { causal: false, balancedBy: "construction", perToken: "varies" },
    },
  ],
  hierarchical: [
    { options: {}, noisy: true, ties: [0, 1, 4, 5] },
    { options: { expertGroups: 4, noise: "fixed" }, noisy: true },
  ],
  "top-any": [
    { options: {}, noisy: false },
    { options: { capacityFactor: 0 }, noisy: false, traits: { causal: true, perToken: "exactly K" } },
    { options: { capacityFactor: -0.5, dropOrder: "batch-priority" }, noisy: false },
    { options: { k: 1, normalize: false }, noisy: false, traits: { causal: true } },
    { options: { gate: "cosine", projection: 16 }, noisy: false, ties: null },
    { options: { k: 3, noise: 1, balanceKind: "load-importance", dropOrder: "random" }, noisy: true },
  ],
  "st-moe": [
    { options: {} },
    { options: { secondThreshold: 1, evaluationSecond: "always" }, noisy: true },
    { options: { second: "always", evaluationSecond: "always", balanceCounts: "all" }, noisy: false },
    { options: { second: "threshold", groups: 3, dropOrder: "batch-priority" }, noisy: false },
    { options: { second: "never", capacityRule: "dropless" }, noisy: false, traits: { causal: true } },
  ],
  "expert-choice": [
    { options: {}, noisy: false },
    { options: { capacityFactor: 1, evaluationCapacityFactor: 1, capacityRule: "ceil" }, noisy: false },
    { options: { cap: 2, lambda: 0.01, iterations: 30 }, noisy: false },
  ],
  // At the suite's 8 experts the default 7 of 7 routed experts leave nothing to choose.
  deepseek: [
    { options: { k: 2 }, noisy: false },
    { options: { k: 2, shared: 0, expertGroups: 4, groupsKept: 2, routedScale: 2.5 }, noisy: false },
    {
      options: { k: 2, shared: 2, expertGroups: 3, groupsKept: 2, groupScore: "max" },
      noisy: false,
      ties: [0, 1, 2, 3],
    },
    {
      options: {
        k: 2,
        score: "softmax",
        normalize: false,
        biasRate: 0,
        balanceScope: "batch",
        balance: 0.01,
      },
      noisy: false,
      traits: { balancedBy: "loss" },
    },
    {
      options: { k: 2, expertGroups: 7, groupsKept: 3, deviceBalance: 0.05, communicationBalance: 0.02 },
      noisy: false,
    },
  ],
  soft: [
    { options: {}, noisy: false },
    { options: { slots: 3 }, noisy: false },
  ],
  "forced-balance": [
    { options: {}, noisy: false },
    { options: { k: 3 }, noisy: false },
    { options: { mode: "random" }, noisy: true },
  ],
  locmoe: [
    { options: {}, noisy: false },
    { options: { gate: "orthogonal", noise: 0.1 }, noisy: true },
    { options: { rectify: false, capacityFrom: "bound", delta: 0.6, locality: 0 }, noisy: false },
    { options: { capacityRule: "dropless" }, noisy: false, traits: { perToken: "exactly K" } },
  ],
  "locmoe-plus": [
    { options: {}, noisy: false },
    { options: { mode: "tcr" }, noisy: false, traits: { causal: true, perToken: "up to K" } },
    { options: { mode: "ecr" }, noisy: false },
    { options: { mode: "ecr", weight: "kept", threshold: null }, noisy: false },
    { options: { mode: "schedule", scheduleSteps: 2 }, noisy: false },
    { options: { boundEvery: 4, boundMemory: 0.5 }, noisy: false },
    { options: { k: 2, weight: "kept" }, noisy: false, traits: { perToken: "up to K" } },
    {
      options: { k: 3, weight: "locmoe", bound: "fixed" },
      noisy: false,
      traits: { perToken: "up to K" },
    },
  ],
};
