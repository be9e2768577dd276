// Routes one batch with given parameters and reads everything back: what tests of single routers start from.
import type { CpuBackend } from "../cpu/backend.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { createInit, type Init } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, tensor } from "../tensor/tensor.ts";

/** Values of a router's parameters by name; those left out are drawn as usual. */
export type Given = Readonly<Record<string, readonly number[] | Float32Array>>;

/** Initial values that are given, whatever part asks for them; names are those of `Router.params`. */
export function givenInit(backend: CpuBackend, given: Given, seed = 0): Init {
  const inner = (init: Init, prefix: string): Init => ({
    ...init,
    part: (name) => inner(init.part(name), name),
    parameter(name, shape, fill) {
      const full = prefix === "" ? name : `${prefix}${name[0].toUpperCase()}${name.slice(1)}`;
      const values = given[full];
      return values
        ? parameter(backend, Float32Array.from(values), shape)
        : init.parameter(name, shape, fill);
    },
  });
  return inner(createInit(backend, random(seed)), "");
}

/** A batch, and how it is routed. */
export interface Batch {
  readonly x: readonly number[] | Float32Array;
  readonly D: number;
  readonly E: number;
  readonly given?: Given;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly training?: boolean;
  readonly length?: number;
  readonly real?: readonly number[];
  readonly seed?: number;
}

/** Makes a router for a batch. */
export async function makeRouter(
  backend: CpuBackend,
  plugin: AnyRouterPlugin,
  batch: Batch,
): Promise<Router> {
  const { D, E, given = {}, options = {} } = batch;
  return await plugin.create({ D, E, V: 10 }, parseOptions(plugin, options), givenInit(backend, given));
}

/** Routes and reads back. The stream of the step is `random(seed)`. */
export async function routeOnce(backend: CpuBackend, plugin: AnyRouterPlugin, batch: Batch, made?: Router) {
  const { x, D, real, training = false, seed = 0 } = batch;
  const T = x.length / D;
  const { length = T } = batch;
  const router = made ?? await makeRouter(backend, plugin, batch);
  const routing = await router.route(tensor(backend, Float32Array.from(x), [T, D]), {
    training,
    step: 0,
    random: random(seed),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(length === 0 ? 0 : T / length, length),
    ...(real ? { real_T: tensor(backend, Float32Array.from(real), [T]) } : {}),
  });
  const losses: Record<string, number> = {};
  for (const [name, loss] of Object.entries(routing.losses)) losses[name] = await scalar(loss);
  return {
    routing,
    token: [...await routing.token_N.read()],
    expert: [...await routing.expert_N.read()],
    wanted: [...await routing.wanted_N.read()],
    weight: [...await routing.weight_N.read()],
    probability: routing.probability_TE ? [...await routing.probability_TE.read()] : [],
    losses,
  };
}

/** Weights that make a gate pass its input on: the identity, [E, E]. */
export function identity(E: number): number[] {
  return Array.from({ length: E * E }, (_, at) => at % E === Math.floor(at / E) ? 1 : 0);
}

/** Rows of a flat list. */
export function rowsOf(values: readonly number[], columns: number): number[][] {
  return Array.from(
    { length: values.length / columns },
    (_, row) => values.slice(row * columns, (row + 1) * columns),
  );
}

/** Softmax in f64. */
export function softmax64(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const powers = row.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** Places of the k largest, largest first, ties to the lower. */
export function best(row: readonly number[], k: number): number[] {
  return row.map((_, at) => at).sort((a, b) => row[b] - row[a] || a - b).slice(0, k);
}
