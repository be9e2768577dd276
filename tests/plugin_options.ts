// What every plugin promises of its options, whatever it is a plugin of: they are described, survive JSON, and bad ones
// are refused by the names of plugin and option.
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { misnamed } from "../routers/parts/option_names.ts";
import { jsonSchemaOf, type OptionsSchema } from "../tensor/plugins.ts";

/** A plugin, as far as its options go. */
interface WithOptions {
  readonly name: string;
  readonly options: OptionsSchema<unknown>;
}

/** An option as JSON Schema shows it. */
interface OptionSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly anyOf?: readonly OptionSchema[];
}

function optionSchemas(plugin: WithOptions): [string, OptionSchema][] {
  const schema = jsonSchemaOf(plugin.options) as {
    properties?: Record<string, OptionSchema>;
  };
  return Object.entries(schema.properties ?? {});
}

/** Values an option must refuse. */
function wrongValues(option: OptionSchema): unknown[] {
  const wrong: unknown[] = [{ wrong: true }];
  if (option.anyOf) return wrong;
  if (option.type === "number" || option.type === "integer") {
    wrong.push("3", null, NaN, true);
    if (option.type === "integer") wrong.push((option.minimum ?? 0) + 0.5);
    if (option.minimum !== undefined) wrong.push(option.minimum - 1);
    if (option.exclusiveMinimum !== undefined) wrong.push(option.exclusiveMinimum);
    if (option.maximum !== undefined) wrong.push(option.maximum + 1);
    if (option.exclusiveMaximum !== undefined) wrong.push(option.exclusiveMaximum);
  } else if (option.type === "string") {
    wrong.push(3, null);
    if (option.enum) wrong.push("no such choice");
  } else if (option.type === "boolean") {
    wrong.push("true", 1, null);
  }
  return wrong;
}

/** Every option has a description and a default, and the name that others give the same idea. */
export function assertDescribed(plugin: WithOptions): void {
  for (const [name, option] of optionSchemas(plugin)) {
    assert(option.description, `option "${name}" has no description`);
    assert("default" in option, `option "${name}" has no default`);
  }
  for (const [name, better] of misnamed(optionSchemas(plugin).map(([name]) => name))) {
    assert(false, `option "${name}" is called "${better}" in other plugins (routers/parts/option_names.ts)`);
  }
}

/** Parsed options are read again from JSON, and none given means the defaults. */
export function assertSurviveJson(options: unknown, parse: (given?: unknown) => unknown): void {
  assertEquals(parse(JSON.parse(JSON.stringify(options))), options);
  assertEquals(parse(), parse({}));
}

/** Names that are not there and values of the wrong kind or size are refused in one clear line. */
export function assertBadOptionsRefused(plugin: WithOptions, parse: (given?: unknown) => unknown): void {
  const refuse = (given: unknown, ...names: string[]) => {
    const { message } = assertThrows(() => parse(given), RangeError) as RangeError;
    assertMatch(message, /^Cannot [^\n]+$/);
    for (const name of [`"${plugin.name}"`, ...names]) assertStringIncludes(message, name);
  };
  refuse({ "no such option": 1 }, "no such option");
  for (const given of [null, 3, "text", []]) refuse(given);
  for (const [name, option] of optionSchemas(plugin)) {
    for (const value of wrongValues(option)) refuse({ [name]: value }, name);
  }
}
