// The routers there are: those of this folder and those a program registers.
import { listPlugins } from "../tensor/plugins.ts";
import * as builtIn from "./mod.ts";
import type { RouterPlugin, Traits } from "./router.ts";

export { optionNames } from "../tensor/plugins.ts";

/** A router plugin, whatever its options are. */
// deno-lint-ignore no-explicit-any -- a list of plugins with different options has no better type
export type AnyRouterPlugin = RouterPlugin<any>;

const known = listPlugins<AnyRouterPlugin>({
  word: "router",
  one: "a router",
  example: "noisy-top-k",
  parts: ["name", "about", "paper", "traits", "options", "expertsPerToken", "create"],
}, builtIn);

/**
 * Every router, by name: those of this package and those registered.
 * @example
 * ```ts
 * import { routers } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(routers().some(({ name }) => name === "switch"), true);
 * ```
 */
export function routers(): readonly AnyRouterPlugin[] {
  return known.all();
}

/**
 * Adds a router of your own; from then on every experiment, report and contract check knows it.
 * @throws {TypeError} when it lacks a part of a plugin; {RangeError} when another has its name, or the name is not in kebab-case.
 * @example
 * ```ts
 * import { findRouter, registerRouter, switchRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * registerRouter({ ...switchRouter, name: "my-switch" });
 * assertEquals(findRouter("my-switch").name, "my-switch");
 * ```
 */
export function registerRouter(plugin: AnyRouterPlugin): void {
  known.register(plugin);
}

/**
 * A router by name.
 * @throws {RangeError} when there is none of that name; the message lists the names there are.
 * @example
 * ```ts
 * import { findRouter, switchRouter } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(findRouter("switch"), switchRouter);
 * assertThrows(() => findRouter("swich"), RangeError, 'Cannot find router "swich": did you mean "switch"?');
 * ```
 */
export function findRouter(name: string): AnyRouterPlugin {
  return known.find(name);
}

/**
 * A router's options with defaults filled in.
 * @throws {RangeError} naming the router, the option, the value and what is allowed.
 * @example
 * ```ts
 * import { hash, parseOptions, switchRouter } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const options = parseOptions(switchRouter, { capacityFactor: 2 });
 * assertEquals([options.capacityFactor, options.evaluationCapacityFactor], [2, 2]);
 * assertThrows(() => parseOptions(switchRouter, { jitter: -1 }), RangeError, "jitter = -1");
 * assertThrows(() => parseOptions(hash, { tabel: "random" }), RangeError, "there are key, table");
 * ```
 */
export function parseOptions<Options>(plugin: RouterPlugin<Options>, given: unknown = {}): Options {
  return known.parse(plugin, given);
}

/**
 * What shared code may rely on of a router with these options.
 * @example
 * ```ts
 * import { parseOptions, switchRouter, traitsOf } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(traitsOf(switchRouter, parseOptions(switchRouter)).causal, true);
 * assertEquals(traitsOf(switchRouter, parseOptions(switchRouter, { dropOrder: "probability" })).causal, false);
 * ```
 */
export function traitsOf<Options>(plugin: RouterPlugin<Options>, options: Options): Traits {
  return { ...plugin.traits, ...plugin.traitsWith?.(options) };
}
