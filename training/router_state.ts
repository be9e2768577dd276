// What routers carry beyond parameters: a checkpoint's part of its own, held against what a checkpoint can hold.
import type { PlacedRouter } from "../models/model.ts";
import { asAuthored } from "../moe/author.ts";

/** Routers of a model by path. */
type Routers = Readonly<Record<string, PlacedRouter>>;

/**
 * Name in a checkpoint and values of all that routers carry.
 * @throws {TypeError} naming the router and the value that no checkpoint brings back as it was.
 */
export function routerState(routers: Routers): [name: string, values: Float32Array][] {
  return Object.entries(routers).flatMap(([path, placed]) =>
    Object.entries(stateOf(placed)).map(([name, values]): [string, Float32Array] => [
      `state.${path}.${name}`,
      values,
    ])
  );
}

/** Gives each router back what it carried; `find` has the values by their name in the checkpoint. */
export function restoreRouters(routers: Routers, find: (name: string) => Float32Array): void {
  for (const [path, placed] of Object.entries(routers)) {
    const names = Object.keys(stateOf(placed));
    if (names.length === 0) continue;
    const state = Object.fromEntries(names.map((name) => [name, find(`state.${path}.${name}`)]));
    asAuthored(placed.called, () => placed.router.restore!(state));
  }
}

function stateOf({ router, called }: PlacedRouter): Readonly<Record<string, Float32Array>> {
  const refuse = (why: string): never => {
    throw new TypeError(`Cannot keep the state of ${called}: ${why}`);
  };
  const state = asAuthored(called, () => router.state?.());
  if (state === undefined) return router.restore ? refuse("it has restore() and no state()") : {};
  if (typeof state !== "object" || state === null) refuse("state() gives no object of arrays by name");
  for (const [name, values] of Object.entries(state)) {
    if (values instanceof Float32Array) continue;
    refuse(`${name} is ${kindOf(values)}; expected is a Float32Array`);
  }
  return router.restore ? state : refuse("it has state() and no restore()");
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object" || value === null) return String(value);
  const { name } = value.constructor;
  return /^[AEIOU]/.test(name) ? `an ${name}` : `a ${name}`;
}
