// The kinds of experts there are: those of this folder and those a program registers.
import { listPlugins } from "../tensor/plugins.ts";
import type { AnyExpertPlugin, ExpertPlugin } from "./expert.ts";
import { mixedExperts } from "./mixed.ts";
import * as builtIn from "./mod.ts";
import { nestedExperts } from "./nested.ts";

export type { AnyExpertPlugin };

const known = listPlugins<AnyExpertPlugin>({
  word: "experts",
  one: "a kind of experts",
  example: "feed-forward",
  parts: ["name", "about", "options", "parameters", "flopPerToken", "activationsPerToken", "create"],
}, builtIn);
// These two are made of kinds that are looked up here.
known.register(mixedExperts(known));
known.register(nestedExperts(known));

/**
 * Every kind of experts, by name: those of this package and those registered.
 * @example
 * ```ts
 * import { experts } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(experts().some(({ name }) => name === "feed-forward"), true);
 * ```
 */
export function experts(): readonly AnyExpertPlugin[] {
  return known.all();
}

/**
 * Adds a kind of experts of your own.
 * @throws {TypeError} when it lacks a part of a plugin; {RangeError} when another has its name, or the name is not in kebab-case.
 * @example
 * ```ts
 * import { feedForward, findExperts, registerExperts } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * registerExperts({ ...feedForward, name: "my-experts" });
 * assertEquals(findExperts("my-experts").name, "my-experts");
 * ```
 */
export function registerExperts(plugin: AnyExpertPlugin): void {
  known.register(plugin);
}

/**
 * A kind of experts by name.
 * @throws {RangeError} when there is none of that name; the message lists the names there are.
 * @example
 * ```ts
 * import { findExperts, swiglu } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(findExperts("swiglu"), swiglu);
 * assertThrows(() => findExperts("swigloo"), RangeError, 'Cannot find experts "swigloo": did you mean "swiglu"?');
 * ```
 */
export function findExperts(name: string): AnyExpertPlugin {
  return known.find(name);
}

/**
 * Options of a kind of experts with defaults filled in.
 * @throws {RangeError} naming the kind, the option, the value and what is allowed.
 * @example
 * ```ts
 * import { linear, parseExpertOptions } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * assertEquals(parseExpertOptions(linear, { bias: true }), { bias: true, outDeviation: null, dropout: 0 });
 * assertThrows(() => parseExpertOptions(linear, { bais: true }), RangeError, "there are bias, outDeviation, dropout");
 * ```
 */
export function parseExpertOptions<Options>(plugin: ExpertPlugin<Options>, given: unknown = {}): Options {
  return known.parse(plugin, given);
}
