// One vocabulary for options of all routers and experts: an idea that several share has one name. The contract suite holds
// plugins to it.

/** The name of each shared idea, what it is, and names that are not used for it. */
export const optionVocabulary: Readonly<
  Record<string, { readonly about: string; readonly not: readonly string[] }>
> = {
  k: {
    about: "experts a token goes to",
    not: ["K", "choices", "topK", "topk", "top", "numExperts", "expertsPerToken"],
  },
  normalize: {
    about: "whether, or when, weights are divided by their sum over the chosen experts",
    not: ["normalise", "normalizeGate", "normTopkProb", "renormalize"],
  },
  capacityFactor: {
    about: "capacity factor f in training",
    not: ["capacity", "capacityRatio", "trainingCapacityFactor"],
  },
  evaluationCapacityFactor: {
    about: "capacity factor f in evaluation",
    not: ["evaluationCapacity", "evalCapacityFactor", "evaluationFactor"],
  },
  minimumCapacity: { about: "least assignments an expert may keep", not: ["minCapacity", "leastCapacity"] },
  dropOrder: { about: "who is kept when an expert is full", not: ["dropPolicy", "priority"] },
  initScale: { about: "s of the gate's init, sigma = sqrt(s / D)", not: ["gateInitScale", "initialScale"] },
  initDeviation: {
    about: "standard deviation of the gate's init",
    not: ["initStd", "std", "initializerRange"],
  },
  balance: {
    about: "weight of the balance loss",
    not: ["balanceWeight", "auxLoss", "auxLossWeight", "loadBalance", "alpha"],
  },
  z: { about: "weight of the router z-loss", not: ["zLoss", "zWeight", "zLossWeight"] },
  jitter: { about: "input noise U(1 - jitter, 1 + jitter) in training", not: ["jitterNoise", "jitterEps"] },
  groups: { about: "groups of tokens that are routed separately", not: ["tokenGroups", "numGroups"] },
  expertGroups: { about: "groups of experts", not: ["nGroup", "numExpertGroups", "groupsOfExperts"] },
  second: { about: "when a token uses its second expert", not: ["secondPolicy", "secondExpertPolicy"] },
  secondThreshold: { about: "threshold of the second expert's weight", not: ["secondExpertThreshold"] },
  sinkhornIterations: { about: "iterations of Sinkhorn's balancing", not: ["sinkhornSteps", "iters"] },
  shared: { about: "experts every token goes to", not: ["sharedExperts", "numShared", "nShared"] },
  dropout: { about: "share of hidden units dropped in training", not: ["dropoutRate", "dropRate"] },
  bias: { about: "whether layers have biases", not: ["biases", "useBias", "withBias"] },
};

/**
 * Options that have another name than the vocabulary's, each with the name it should have.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { misnamed } from "./option_names.ts";
 *
 * assertEquals(misnamed(["k", "jitter", "mine"]), []);
 * assertEquals(misnamed(["topK"]), [["topK", "k"]]);
 * ```
 */
export function misnamed(options: readonly string[]): (readonly [name: string, better: string])[] {
  return options.flatMap((name) =>
    Object.entries(optionVocabulary).filter(([, { not }]) => not.includes(name))
      .map(([better]) => [name, better] as const)
  );
}
