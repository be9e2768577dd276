// The package's front door: what `jsr:@switchyard/moe` exports, in the order of the layers underneath.
/**
 * Switchyard: Mixture-of-Experts where routers are plugins and everything else is shared. It trains and compares them
 * on a CPU backend that needs nothing.
 *
 * @example
 * ```ts
 * import { cpu, createInit, createMoeLayer, findRouter, memory, parseOptions } from "@switchyard/moe";
 * import { random, swiglu, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 *
 * using backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [T, D, F, E] = [8, 16, 32, 4];
 * const router = findRouter("switch");
 * using layer = createMoeLayer({
 *   D,
 *   E,
 *   router: router.create({ D, E }, parseOptions(router), init.part("router")),
 *   experts: swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts")),
 * });
 * using _scope = memory(backend); // frees what the layer makes
 * const x_TD = tensor(backend, random(1).normal(T * D), [T, D]);
 * const { y_TD } = await layer.apply(x_TD, { training: false, random: random(2) });
 * assertEquals(y_TD.shape, [8, 16]);
 * ```
 * @module
 */
export type {
  Arithmetic,
  ArrayType,
  Backend,
  Buffer,
  Case,
  CaseInput,
  Cost,
  CpuLaunch,
  DType,
  Fill,
  GpuFacts,
  GpuLaunch,
  GpuPass,
  GpuTable,
  HostArray,
  Kernel,
  Letters,
  NumberArray,
  QueueCounts,
} from "./kernels/kernel.ts";
/** Every kernel by name, for `apply`: what a router of your own needs beyond the ops. */
export * as kernels from "./kernels/mod.ts";
export { cpu, type CpuBackend, type CpuOptions } from "./cpu/backend.ts";
export type { Tile } from "./cpu/tiles.ts";
export {
  type BlasStart,
  type StartedThread,
  startThread,
  threadProgram,
  type ThreadStart,
} from "./cpu/threads.ts";
export type { Binding } from "./cpu/blas/binding.ts";
export { findBlas } from "./cpu/blas/find.ts";
export type { Blas, NoBlas, Rates } from "./cpu/blas/measurement.ts";
export type { HeapStatistics } from "./cpu/heap.ts";
export { webgpu, type WebgpuBackend, type WebgpuOptions, type WebgpuStatistics } from "./gpu/backend.ts";
export { type AdapterChoice, type AdapterFacts, adapterFacts } from "./gpu/adapter.ts";
export type { PoolStatistics } from "./gpu/pool.ts";

export * from "./tensor/tensor.ts";
export { fork, type Scope, type Segment, type Storage, takePeakBytes } from "./tensor/context.ts";
export { checkpointed, type Checkpointing, checkpointings } from "./tensor/checkpointing.ts";
export { type Memory, memory, release, type Stored } from "./tensor/memory.ts";
export { gradients, gradientsByName } from "./tensor/gradients.ts";
export { takeStageDispatches } from "./tensor/dispatches.ts";
export { type Random, random } from "./tensor/random.ts";
export * from "./tensor/init.ts";
export * from "./tensor/activations.ts";
export * from "./tensor/arithmetic.ts";
export * from "./tensor/piecewise.ts";
export * from "./tensor/power.ts";
export * from "./tensor/reduce.ts";
export * from "./tensor/products.ts";
export * from "./tensor/quantised.ts";
export { type WeightFormatInfo, weightFormats } from "./kernels/parts/weight_formats.ts";
export * from "./tensor/rows.ts";
export * from "./tensor/row_blocks.ts";
export * from "./tensor/columns.ts";
export { equalSequences, type Sequences, sequencesOf } from "./tensor/sequences.ts";
export * from "./tensor/transformer.ts";
export * from "./tensor/vocabulary_loss.ts";
export { onHost } from "./tensor/on_host.ts";
export { pass, stage, takePassSeconds, takeStageSeconds } from "./tensor/stage.ts";

export type { AnyPlugin, OptionField, OptionsSchema, Plugin } from "./tensor/plugins.ts";

export * from "./routers/mod.ts";
export * from "./routers/registry.ts";
export * from "./routers/parts/capacity.ts";
export * from "./routers/parts/capacity_bound.ts";
export * from "./routers/parts/topology.ts";
export * from "./routers/parts/losses.ts";
export type { LocalityOptions } from "./routers/parts/locality.ts";
export type { NoisyGateOptions } from "./routers/parts/noisy_gate.ts";
export * from "./routers/parts/padding.ts";
export type { SampledOptions } from "./routers/parts/sampled.ts";
export * from "./routers/parts/scoring.ts";
export * from "./experts/mod.ts";
export * from "./experts/registry.ts";
export type { KnownKinds, NamedKind } from "./experts/parts/kind.ts";
export { nestedExperts, type NestedOptions } from "./experts/nested.ts";
export { mixedExperts, type MixedOptions, type MixedPart } from "./experts/mixed.ts";
export * from "./experts/parts/init.ts";
export { dropoutOption, dropUnits } from "./experts/parts/dropout.ts";
export * from "./experts/parts/matrices.ts";
export * from "./experts/parts/precision.ts";
export { createMoeLayer, type LayerStep, type MoeLayer, type MoeOutput } from "./moe/layer.ts";
export { type Load, loadOf, type RoutingValues } from "./moe/load.ts";
export { type Decisions, recordDecisions, type Recording, replay } from "./moe/replay.ts";
export * from "./models/spec.ts";
export * from "./models/model.ts";
export * from "./models/cache.ts";
export type { Decided, RoutedPast } from "./moe/past.ts";
export type { GrowingRows } from "./tensor/growing_rows.ts";
export { type Drawing, type DrawnToken, drawToken } from "./models/draw.ts";
export * from "./models/generate.ts";
export {
  activeFlop,
  type FlopCounts,
  flopOf,
  weightBytesOf,
  type WeightCounts,
  weightsOf,
} from "./models/cost.ts";
export * from "./models/equal_cost.ts";
export * from "./models/controls.ts";
export * from "./models/sizes.ts";
export * from "./tasks/mod.ts";
export * from "./tasks/registry.ts";
export { digestOf, type DigestPart } from "./tasks/digest.ts";
export { drawRows, rowsInOrder, sequenceLengths, walkRows } from "./tasks/rows.ts";
