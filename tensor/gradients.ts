// Reverse mode: sort what the loss was made from once, walk back, add where paths meet. Gradients of inner results are
// freed as soon as they have been passed on, and whatever a pullback made on the way goes with its own scope.
import { shapeText, sizeOf } from "../kernels/kernel.ts";
import { add } from "./arithmetic.ts";
import { giveUpRestored } from "./checkpointing.ts";
import { contextOf, type Segment, type Storage } from "./context.ts";
import { memory, release } from "./memory.ts";
import { pass, stage } from "./stage.ts";
import { carriesGradient, type Made, type Parameter, type Tensor, tensor } from "./tensor.ts";

/** Parents before children, each once. */
function sorted(loss: Tensor): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  const stack: { node: Tensor; next: number }[] = [{ node: loss, next: 0 }];
  seen.add(loss);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const parent = top.node.made?.from[top.next++];
    if (parent === undefined) {
      order.push(top.node);
      stack.pop();
    } else if (!seen.has(parent)) {
      seen.add(parent);
      stack.push({ node: parent, next: 0 });
    }
  }
  return order;
}

/**
 * Gradients of a loss with respect to parameters, in their order; null where no path leads to a parameter.
 * @param loss One value, shape [1].
 * @throws {RangeError} when the loss is not one value; {TypeError} when it depends on no parameter, or on one
 * that has been assigned since.
 * @example
 * ```ts
 * import { cpu, gradients, parameter, square, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const w = parameter(backend, Float32Array.of(1, 2, 3), [3]);
 * const unused = parameter(backend, Float32Array.of(1), [1]);
 * const [gradient, none] = await gradients(sumAll(square(w)), [w, unused]);
 * assertEquals(await gradient!.read(), Float32Array.of(2, 4, 6));
 * assertEquals(none, null);
 * backend.close();
 * ```
 */
export function gradients(loss: Tensor, params: readonly Parameter[]): Promise<(Tensor | null)[]> {
  return pass(loss.backend, "backward", () => walkBack(loss, params));
}

/**
 * Gradients of a loss with respect to named parameters, by name; null where no path leads to a parameter.
 * @param loss One value, shape [1].
 * @throws As {@linkcode gradients} does.
 * @example
 * ```ts
 * import { cpu, gradientsByName, parameter, square, sumAll } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * using backend = await cpu({ threads: 1 });
 * const w = parameter(backend, Float32Array.of(1, 2, 3), [3]);
 * const unused = parameter(backend, Float32Array.of(1), [1]);
 * const found = await gradientsByName(sumAll(square(w)), { w, unused });
 * assertEquals(await found.w!.read(), Float32Array.of(2, 4, 6));
 * assertEquals(found.unused, null);
 * ```
 */
export async function gradientsByName<Name extends string>(
  loss: Tensor,
  params: Readonly<Record<Name, Parameter>>,
): Promise<Record<Name, Tensor | null>> {
  const found = await gradients(loss, Object.values<Parameter>(params));
  const byName = Object.keys(params).map((name, at) => [name, found[at]] as const);
  return Object.fromEntries(byName) as Record<Name, Tensor | null>;
}

async function walkBack(loss: Tensor, params: readonly Parameter[]): Promise<(Tensor | null)[]> {
  if (sizeOf(loss.shape) !== 1) {
    throw new RangeError(
      `Cannot differentiate a loss of shape ${shapeText(loss.shape)}: it must be one value`,
    );
  }
  if (!carriesGradient(loss)) throw new TypeError("Cannot differentiate a loss that depends on no parameter");

  const { backend } = loss;
  const byNode = new Map<Tensor, Tensor>();
  // Several nodes may hold one gradient's memory (an addition hands the same one to both parents).
  const holders = new Map<Storage, number>();
  const hold = ({ storage }: Tensor) => holders.set(storage, (holders.get(storage) ?? 0) + 1);
  const drop = (gradient: Tensor) => {
    const left = holders.get(gradient.storage)! - 1;
    holders.set(gradient.storage, left);
    if (left === 0) release(gradient);
  };
  function deliver(node: Tensor, gradient: Tensor): void {
    const before = byNode.get(node);
    if (before === undefined) {
      hold(gradient);
      byNode.set(node, gradient);
      return;
    }
    const sum = add(before, gradient);
    drop(before);
    hold(sum);
    byNode.set(node, sum);
    if (!holders.get(gradient.storage)) release(gradient);
  }

  /** Hands a node's gradient on to its parents; a promise only where a pullback is one. */
  function passOn(made: Made, gradient: Tensor, at = 0): Promise<void> | undefined {
    const { from, pullbacks, versions } = made;
    for (; at < from.length; at++) {
      const parent = from[at], next = at + 1;
      refuseAssigned(parent, versions[at]);
      const found = pull(pullbacks[at], gradient);
      if (found instanceof Promise) {
        return found.then((later) => {
          deliverTo(parent, later);
          return passOn(made, gradient, next);
        });
      }
      deliverTo(parent, found);
    }
  }
  function deliverTo(parent: Tensor, found: Tensor): void {
    if (!sameShape(found.shape, parent.shape)) {
      throw new RangeError(
        `Cannot add a gradient of shape ${shapeText(found.shape)} to a value of shape ${
          shapeText(parent.shape)
        }`,
      );
    }
    deliver(parent, found);
  }

  const one = tensor(backend, [1], loss.shape);
  hold(one);
  byNode.set(loss, one);
  const context = contextOf(backend);
  let inside: Segment | null = null;
  const order = sorted(loss);
  for (let at = order.length - 1; at >= 0; at--) {
    const node = order[at], { made } = node;
    const gradient = byNode.get(node);
    if (gradient === undefined || made === undefined) continue;
    if (made.segment !== inside) giveUpRestored(context);
    inside = made.segment;
    const passing = stage(backend, made.stage, () => passOn(made, gradient));
    if (passing) await passing;
    byNode.delete(node);
    drop(gradient);
  }
  giveUpRestored(context);
  return params.map((param) => byNode.get(param) ?? null);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** Its old values are gone, and the gradient at the new ones belongs to no loss that was computed. */
function refuseAssigned({ storage }: Tensor, version: number): void {
  if (storage.version === version) return;
  throw new TypeError(
    `Cannot differentiate: parameter "${storage.parameter}" was assigned after the loss was made from it; ` +
      "take gradients first, or make the loss anew",
  );
}

/** Runs a pullback in a scope of its own that keeps only the result. */
function pull(
  pullback: (gradient: Tensor) => Tensor | Promise<Tensor>,
  gradient: Tensor,
): Tensor | Promise<Tensor> {
  const scope = memory(gradient.backend);
  const close = (found: Tensor) => {
    scope.keep(found);
    scope[Symbol.dispose]();
    return found;
  };
  try {
    const found = pullback(gradient);
    if (!(found instanceof Promise)) return close(found);
    return found.then(close, (error) => {
      scope[Symbol.dispose]();
      throw error;
    });
  } catch (error) {
    scope[Symbol.dispose]();
    throw error;
  }
}
