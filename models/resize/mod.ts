// What the package exports about changing how many experts a model has.
/**
 * From dense to sparse and back: experts from copies of a dense network, fewer experts by leaving some out or by merging
 * those that are alike.
 * @module
 */
export {
  type CountedAxis,
  countedAxis,
  type Mix,
  mixAlong,
  type NamedWeights,
  taken,
  type Weights,
} from "./axes.ts";
export { type BankSpec, type UnitAxes, unitAxes } from "./unit_axes.ts";
export { upcycle, type UpcycleOptions, type Upcycling, upcyclings } from "./upcycle.ts";
export { type Conversion, conversions, startFrom, type StartOptions } from "./start.ts";
export { type ObservedExperts, observeExperts } from "./observe.ts";
export { bestExperts, type PruneScore, pruneScores } from "./prune.ts";
export { groupsOf, mergedExperts, type MergeFeature, mergeFeatures } from "./merge.ts";
export { alignedExperts } from "./align.ts";
export { type FewerExperts, withFewerExperts } from "./fewer_experts.ts";
