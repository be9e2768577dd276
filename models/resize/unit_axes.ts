// Where the hidden units of a kind of experts lie in its parameters: found by making a bank with one unit and with two.
import type { AnyExpertPlugin } from "../../experts/registry.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { createInit, type Params } from "../../tensor/init.ts";
import { releaseHeld } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { type CountedAxis, countedAxis } from "./axes.ts";

/** The axis of hidden units in each parameter of a bank, by name; null where there is none, as in a bias of the output. */
export type UnitAxes = Readonly<Record<string, CountedAxis | null>>;

/** A bank of experts as a model describes it. */
export interface BankSpec {
  /** Kind of experts. */
  readonly experts: AnyExpertPlugin;
  /** With defaults filled in. */
  readonly expertOptions: unknown;
  /** Number of experts. */
  readonly E: number;
}

/**
 * Where hidden units lie.
 * @throws {RangeError} when a parameter does not grow with the number of units along one axis.
 * @example
 * ```ts
 * import { cpu, parseExpertOptions, swiglu } from "@switchyard/moe";
 * import { unitAxes } from "@switchyard/moe/resize";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const expertOptions = parseExpertOptions(swiglu, { interleaved: true, bias: true });
 * assertEquals(unitAxes({ experts: swiglu, expertOptions, E: 4 }, 8, backend), {
 *   gateIn: { axis: 2, block: 2 },
 *   gateInBias: { axis: 1, block: 2 },
 *   out: { axis: 1, block: 1 },
 *   outBias: null,
 * });
 * ```
 */
export function unitAxes({ experts, expertOptions, E }: BankSpec, D: number, backend: Backend): UnitAxes {
  const [one, two] = [1, 2].map((F) => shapesOf({ experts, expertOptions, E }, D, F, backend));
  return Object.fromEntries(
    Object.keys(one).map((name) => [
      name,
      countedAxis(one[name], two[name], { from: 1, to: 2 }, (why) => {
        throw new RangeError(`Cannot find hidden units in "${name}" of experts "${experts.name}": ${why}`);
      }),
    ]),
  );
}

function shapesOf(
  { experts, expertOptions, E }: BankSpec,
  D: number,
  F: number,
  backend: Backend,
): Record<string, readonly number[]> {
  const bank = experts.create({ D, F, E }, expertOptions, createInit(backend, random(0)));
  const all: Params = { ...bank.params, ...bank.shared };
  const shapes = Object.fromEntries(Object.entries(all).map(([name, { shape }]) => [name, shape]));
  bank.free?.();
  releaseHeld(Object.values(all));
  return shapes;
}
