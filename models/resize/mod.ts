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
