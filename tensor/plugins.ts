// Lists of plugins by name: routers, kinds of experts, tasks. What they share is here once: names are kebab-case and
// taken only once, options are a zod object, and whatever is refused is refused by name and with the choices.
import * as z from "zod";
import { hintOf } from "./nearest.ts";

/** Options of a plugin as zod 4 declares them, `z.strictObject({ ... })`, by the parts of it that others use. */
export interface OptionsSchema<Options> {
  /** Options with defaults filled in; throws an error of zod when they cannot be used. */
  parse(given: unknown): Options;
  /** The same, with the error as a value. */
  safeParse(
    given: unknown,
  ): { readonly success: true; readonly data: Options } | {
    readonly success: false;
    readonly error: unknown;
  };
}

/** One option as zod declares it, with a default, for a router or a kind of experts to spread into its own. */
export interface OptionField<Value> {
  /** A value, or the default for undefined; throws an error of zod when it cannot be used. */
  parse(given: unknown): Value;
  /** What zod infers types from. */
  readonly _zod: {
    /** The parsed type. */
    readonly output: Value;
  };
}

/** What every plugin has. */
export interface Plugin<Options> {
  /** In kebab-case. */
  readonly name: string;
  /** Defaults, ranges and one-line descriptions of the options. */
  readonly options: OptionsSchema<Options>;
  /** Old names of options, each with its name now; settings of an old name are refused and told the new one. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Old names of options' values, by option, each with its name now; they are refused and told the new one. */
  readonly renamedValues?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A plugin of any options. */
// deno-lint-ignore no-explicit-any -- a list of plugins with different options has no better type
export type AnyPlugin = Plugin<any>;

/** A kind of plugin, in the words of its errors. */
export interface PluginKind<P> {
  /** Before a name: `router "switch"`. */
  readonly word: string;
  /** Without a name: `a router`. */
  readonly one: string;
  /** A name that shows how names are written. */
  readonly example: string;
  /** What each must have. */
  readonly parts: readonly (keyof P & string)[];
}

/** The plugins of one kind. */
export interface Plugins<P> {
  /** All, by name. */
  all(): readonly P[];
  /** @throws {TypeError} when it lacks a part; {RangeError} when its name is taken or not in kebab-case. */
  register(plugin: P): void;
  /** @throws {RangeError} when there is none of that name; the message lists the names there are. */
  find(name: string): P;
  /**
   * A plugin's options with defaults filled in.
   * @throws {RangeError} naming the plugin, the option, the value and what is allowed.
   */
  parse<Options>(plugin: Plugin<Options>, given?: unknown): Options;
}

/** How names of plugins are written. */
export const kebabCase = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** A list that starts with the plugins of a module: each of its values is one. */
export function listPlugins<P extends AnyPlugin>(
  kind: PluginKind<P>,
  builtIn: Readonly<Record<string, P>>,
): Plugins<P> {
  const { word } = kind;
  const known = new Map(Object.values(builtIn).map((plugin): [string, P] => [plugin.name, plugin]));
  const all = () => [...known.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  return {
    all,
    register(plugin) {
      checkPlugin(kind, plugin);
      // A module that registers its own plugin may be named with --plugin as well.
      if (known.has(plugin.name) && known.get(plugin.name) !== plugin) {
        throw new RangeError(`Cannot register ${word} "${plugin.name}": the name is taken`);
      }
      known.set(plugin.name, plugin);
    },
    find(name) {
      const plugin = known.get(name);
      if (plugin) return plugin;
      const names = all().map((each) => each.name);
      const list = names.map((each) => `"${each}"`).join(", ");
      throw new RangeError(`Cannot find ${word} "${name}": ${hintOf(name, names)}there are ${list}`);
    },
    parse(plugin, given = {}) {
      const parsed = plugin.options.safeParse(given);
      if (parsed.success) return parsed.data;
      throw new RangeError(refusal(`${word} "${plugin.name}"`, plugin, parsed.error as z.ZodError, given));
    },
  };
}

/**
 * Names of a plugin's options; null where their schema is no plain object, and only parsing can tell.
 * @example
 * ```ts
 * import { hash, optionNames } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * assertEquals(optionNames(hash), ["key", "table"]);
 * ```
 */
export function optionNames({ options }: AnyPlugin): string[] | null {
  const { properties } = jsonSchemaOf(options);
  return properties ? Object.keys(properties) : null;
}

/** Options as a JSON schema: names, defaults, ranges and descriptions. */
export function jsonSchemaOf(options: OptionsSchema<unknown>): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(options as z.ZodType, { io: "input", unrepresentable: "any" });
}

/** What to write instead of option names that a plugin does not have: the names they have now, or a list of all. */
export function insteadOf(plugin: AnyPlugin, unknown: readonly string[]): string {
  const { renamed = {} } = plugin;
  const moved = unknown.filter((name) => Object.hasOwn(renamed, name));
  const names = optionNames(plugin);
  if (moved.length === 0) return hintOf(unknown[0], names ?? [], (name) => name) + listOf(names);
  return moved.map((name) => `${name} is called ${renamed[name]} now`).join(", ");
}

function listOf(names: readonly string[] | null): string {
  return names?.length ? `there are ${names.join(", ")}` : "it has no options";
}

/** Why options cannot be used, in one line. */
function refusal(plugin: string, of: AnyPlugin, error: z.ZodError, given: unknown): string {
  const [issue] = error.issues;
  const valueAt = (path: readonly PropertyKey[]) =>
    path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)?.[key], given);
  if (issue.code === "unrecognized_keys") {
    const unknown = issue.keys.map((key) => `${key} = ${JSON.stringify(valueAt([...issue.path, key]))}`);
    const choices = issue.path.length === 0 ? insteadOf(of, issue.keys) : listOf(optionNames(of));
    return `Cannot set ${unknown.join(", ")} of ${plugin}: ${choices}`;
  }
  const at = issue.path.join(".");
  const found = valueAt(issue.path);
  const value = at ? `${at} = ${JSON.stringify(found)}: ` : "";
  const renamed = of.renamedValues?.[at];
  const why = typeof found === "string" && renamed && Object.hasOwn(renamed, found)
    ? `${JSON.stringify(found)} is called ${JSON.stringify(renamed[found])} now`
    : issue.message;
  return `Cannot use options of ${plugin}: ${value}${why}`;
}

function checkPlugin<P extends AnyPlugin>({ word, one, example, parts }: PluginKind<P>, plugin: P): void {
  const missing = parts.filter((part) => plugin?.[part] === undefined);
  if (missing.length > 0) {
    throw new TypeError(`Cannot register ${one}: it has no ${missing.join(", no ")}`);
  }
  if (!kebabCase.test(plugin.name)) {
    throw new RangeError(
      `Cannot register ${word} "${plugin.name}": a name is kebab-case, like "${example}"`,
    );
  }
  if (!("_zod" in plugin.options)) {
    throw new TypeError(`Cannot register ${word} "${plugin.name}": its options are no schema of zod 4`);
  }
  // A config writes options beside the plugin's own name.
  if (optionNames(plugin)?.includes("name")) {
    throw new RangeError(
      `Cannot register ${word} "${plugin.name}": it has an option called name, which in a config chooses the plugin; ` +
        "choose another",
    );
  }
}

/** An object with some members of its own; all others act on the first, wherever its class keeps them. */
export function inPlaceOf<T extends object>(of: T, members: Partial<T>): T {
  return new Proxy(of, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
