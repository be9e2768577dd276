// AdamW with warm-up, cosine decay and clipping by the global norm of all gradients.
import * as kernels from "../kernels/mod.ts";
import { memory, releaseHeld } from "../tensor/memory.ts";
import { apply, applyOver, type Parameter, parameter, type Tensor } from "../tensor/tensor.ts";
import { sizeOf } from "../kernels/kernel.ts";

/** Settings of {@linkcode createAdamW}. */
export interface AdamWOptions {
  /** Share of the old first moment in the new one. */
  readonly beta1: number;
  /** Share of the old second moment in the new one. */
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly epsilon: number;
  /** Decoupled decay, for parameters that decay (`Parameter.decays`): norms and biases are left alone. */
  readonly weightDecay: number;
  /** Gradients are scaled down to this norm. */
  readonly maximumNorm: number;
}

/** Settings that {@linkcode createAdamW} starts from. */
export const adamWDefaults: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  maximumNorm: 1,
};

/** AdamW over named parameters (Loshchilov and Hutter 2019, algorithm 2). Free it when done with its moments. */
export interface AdamW extends Disposable {
  /**
   * One update.
   * @param gradients By name, one for each parameter, as {@linkcode gradientsByName} gives them.
   * @param step From 0.
   * @returns The norm of all gradients before clipping, shape [1].
   * @throws {TypeError} naming the parameter that has none.
   */
  update(gradients: Readonly<Record<string, Tensor | null>>, learningRate: number, step: number): Tensor;
  /** First and second moments by parameter name, for checkpoints. */
  readonly moments: Readonly<Record<string, { readonly first: Parameter; readonly second: Parameter }>>;
  /** Frees the moments and leaves the parameters; a second time does nothing. */
  free(): void;
}

/**
 * Starts AdamW with moments of 0.
 * @param params What to train, by name: a layer's or a model's `params`, or several of them in one record.
 * @throws {RangeError} when there are none, or one parameter has two names: it would be stepped twice.
 * @example
 * ```ts
 * import { cpu, gradientsByName, parameter, scalar, square, sumAll } from "@switchyard/moe";
 * import { createAdamW } from "@switchyard/moe/training";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const w = parameter(backend, Float32Array.of(3), [1]);
 * using optimizer = createAdamW({ w });
 * const norm = optimizer.update(await gradientsByName(sumAll(square(w)), { w }), 0.5, 0);
 * assertEquals(await scalar(norm), 6);
 * assertAlmostEquals(await scalar(w), 2.5, 1e-6); // a first step is the learning rate long
 * ```
 */
export function createAdamW(
  params: Readonly<Record<string, Parameter>>,
  options: Partial<AdamWOptions> = {},
): AdamW {
  const { beta1, beta2, epsilon, weightDecay, maximumNorm } = { ...adamWDefaults, ...options };
  const names = Object.keys(params);
  if (names.length === 0) throw new RangeError("Cannot train without parameters: give one or more by name");
  refuseTwice(params);
  const moments = Object.fromEntries(
    Object.entries(params).map(([name, { backend, shape }]) => {
      const zeros = () => parameter(backend, new Float32Array(sizeOf(shape)), shape);
      return [name, { first: zeros(), second: zeros() }];
    }),
  );
  const free = () => releaseHeld(Object.values(moments).flatMap(({ first, second }) => [first, second]));
  return {
    moments,
    free,
    [Symbol.dispose]: free,
    update(gradients, learningRate, step) {
      const found = names.map((name) => gradientOf(gradients, name));
      using scope = memory(found[0].backend);
      const squares = apply(kernels.sumSquares, found, { arrays: found.length });
      const [norm, scale] = apply(kernels.clipScale, squares, { maximum: maximumNorm });
      const inputs = [scale];
      const weightDecays: number[] = [];
      for (const [at, name] of names.entries()) {
        const { first, second } = moments[name];
        inputs.push(params[name], found[at], first, second);
        weightDecays.push(params[name].decays ? weightDecay : 0);
      }
      const constants = { learningRate, beta1, beta2, epsilon, weightDecay: weightDecays, step: step + 1 };
      const updated = applyOver(kernels.adamw, inputs, constants);
      for (const [at, name] of names.entries()) {
        const { first, second } = moments[name];
        params[name].assign(updated[3 * at]);
        first.assign(updated[3 * at + 1]);
        second.assign(updated[3 * at + 2]);
      }
      return scope.keep(norm);
    },
  };
}

function gradientOf(gradients: Readonly<Record<string, Tensor | null>>, name: string): Tensor {
  const gradient = gradients[name];
  if (!gradient) {
    throw new TypeError(
      `Cannot update "${name}": no gradient was given; a parameter that the loss does not depend on has none, ` +
        "so leave it out of what is trained",
    );
  }
  return gradient;
}

function refuseTwice(params: Readonly<Record<string, Parameter>>): void {
  const names = new Map<Parameter, string>();
  for (const [name, param] of Object.entries(params)) {
    const other = names.get(param);
    if (other !== undefined) {
      throw new RangeError(
        `Cannot train "${name}": it is the parameter "${other}", and each is stepped once; enter it under one name`,
      );
    }
    names.set(param, name);
  }
}
