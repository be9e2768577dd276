// The routers there are: those of this folder and those a program registers.
import { z } from "zod";
import * as builtIn from "./mod.ts";
import type { RouterPlugin } from "./router.ts";

/** A router plugin, whatever its options are. */
// deno-lint-ignore no-explicit-any -- a list of plugins with different options has no better type
export type AnyRouterPlugin = RouterPlugin<any>;

const known = new Map<string, AnyRouterPlugin>(
  Object.values(builtIn).map((plugin): [string, AnyRouterPlugin] => [plugin.name, plugin]),
);

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
  return [...known.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Adds a router of your own; from then on every experiment, report and contract check knows it.
 * @throws {TypeError} when it lacks a part of a plugin; {RangeError} when the name is taken or not in kebab-case.
 * @example
 * ```ts
 * import { findRouter, registerRouter, switchRouter } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * registerRouter({ ...switchRouter, name: "my-switch" });
 * assertEquals(findRouter("my-switch").name, "my-switch");
 * ```
 */
export function registerRouter(plugin: AnyRouterPlugin): void {
  checkPlugin(plugin);
  if (known.has(plugin.name)) {
    throw new RangeError(`Cannot register router "${plugin.name}": the name is taken`);
  }
  known.set(plugin.name, plugin);
}

/**
 * A router by name.
 * @throws {RangeError} when there is none of that name; the message lists the names there are.
 * @example
 * ```ts
 * import { findRouter, switchRouter } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(findRouter("switch"), switchRouter);
 * assertThrows(() => findRouter("swich"), RangeError, 'Cannot find router "swich": there are "');
 * ```
 */
export function findRouter(name: string): AnyRouterPlugin {
  const plugin = known.get(name);
  if (plugin) return plugin;
  const names = routers().map((router) => `"${router.name}"`).join(", ");
  throw new RangeError(`Cannot find router "${name}": there are ${names}`);
}

/**
 * Names of a router's options; null where their schema is no plain object, and only parsing can tell.
 * @example
 * ```ts
 * import { hash, optionNames } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(optionNames(hash), ["key", "table"]);
 * ```
 */
export function optionNames({ options }: AnyRouterPlugin): string[] | null {
  const { properties } = z.toJSONSchema(options, { io: "input", unrepresentable: "any" });
  return properties ? Object.keys(properties) : null;
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
  const parsed = plugin.options.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const valueAt = (path: readonly PropertyKey[]) =>
    path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], given);
  if (issue.code === "unrecognized_keys") {
    const unknown = issue.keys.map((key) => `${key} = ${JSON.stringify(valueAt([...issue.path, key]))}`);
    const known = optionNames(plugin) ?? [];
    const choices = known.length === 0 ? "it has no options" : `there are ${known.join(", ")}`;
    throw new RangeError(`Cannot set ${unknown.join(", ")} of router "${plugin.name}": ${choices}`);
  }
  const at = issue.path.join(".");
  const value = valueAt(issue.path);
  throw new RangeError(
    `Cannot use options of router "${plugin.name}": ${
      at ? `${at} = ${JSON.stringify(value)}: ` : ""
    }${issue.message}`,
  );
}

function checkPlugin(plugin: AnyRouterPlugin): void {
  const missing = (["name", "about", "paper", "traits", "options", "expertsPerToken", "create"] as const)
    .filter((part) => plugin?.[part] === undefined);
  if (missing.length > 0) {
    throw new TypeError(`Cannot register a router: it has no ${missing.join(", no ")}`);
  }
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(plugin.name)) {
    throw new RangeError(`Cannot register router "${plugin.name}": a name is kebab-case, like "noisy-top-k"`);
  }
}
