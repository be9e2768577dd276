// A run as one typed, JSON-serialisable description: task, model, experts, router, control, training, placement and
// seed. The command line, config files, arms of an experiment, the record's header, a run's identity and the report's
// Setup all follow from its schema.
import * as z from "zod";
import { findExperts, parseExpertOptions } from "../experts/registry.ts";
import { findRouter, parseOptions } from "../routers/registry.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import {
  type Chosen,
  type LayerSettings,
  layerSettings,
  type RunConfig,
  runSchema,
  usual,
} from "./run_schema.ts";
import { hintOf } from "../tensor/nearest.ts";

export type * from "./run_schema.ts";

/** Settings by path: `{ "train.steps": 60, "router.name": "switch" }`. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * A run from JSON, with defaults filled in and every value checked, plugins' options included.
 * @throws {RangeError} naming the path, the value and what is allowed.
 * @example
 * ```ts
 * import { parseConfig } from "@switchyard/moe/training";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const config = parseConfig({ router: { name: "gshard" }, train: { steps: 60 } });
 * assertEquals([config.router.capacityFactor, config.train.steps, config.train.batch], [1, 60, 16]);
 * assertEquals(parseConfig(JSON.parse(JSON.stringify(config))), config);
 * assertThrows(() => parseConfig({ train: { stpes: 60 } }), RangeError, "train.stpes = 60: did you mean steps?");
 * ```
 */
export function parseConfig(given: unknown): RunConfig {
  const parsed = runSchema.safeParse(given ?? {});
  if (!parsed.success) throw new RangeError(refusal(parsed.error, given));
  const { task, model, experts, router, ...rest } = parsed.data;
  const config: RunConfig = {
    task: completed(task, (name, options) => parseTaskOptions(findTask(name), options)),
    model: { ...model, perLayer: model.perLayer.map(completedLayer) },
    experts: completedExperts(experts),
    router: completedRouter(router),
    ...rest,
  };
  checkTogether(config);
  return config;
}

/** A plugin's name with all of its options, in the order of its schema. */
function completed({ name, ...given }: Chosen, parse: (name: string, given: unknown) => unknown): Chosen {
  return { name, ...parse(name, given) as Record<string, unknown> };
}

const completedRouter = (router: Chosen) =>
  completed(router, (name, given) => parseOptions(findRouter(name), given));

const completedExperts = (experts: Chosen) =>
  completed(experts, (name, given) => parseExpertOptions(findExperts(name), given));

function completedLayer({ router, expertKind, ...rest }: LayerSettings): LayerSettings {
  return {
    ...rest,
    ...(router ? { router: completedRouter(router) } : {}),
    ...(expertKind ? { expertKind: completedExperts(expertKind) } : {}),
  };
}

/** What single values cannot tell. */
function checkTogether({ model, train, placement }: RunConfig): void {
  const { width, heads, keyValueHeads, rotaryWidth, perLayer, layers } = model;
  if (heads > 0 && (width % heads !== 0 || width / heads % 2 !== 0)) {
    throw new RangeError(
      `Cannot use model.heads = ${heads}: model.width ${width} does not split into heads of even width`,
    );
  }
  const without = Object.entries({ keyValueHeads, rotaryWidth }).find(([, value]) => value !== null);
  if (heads === 0 && without) {
    throw new RangeError(
      `Cannot use model.${without[0]} = ${
        without[1]
      }: model.heads is 0, so there is no attention; choose null`,
    );
  }
  if (keyValueHeads !== null && heads % keyValueHeads !== 0) {
    throw new RangeError(
      `Cannot use model.keyValueHeads = ${keyValueHeads}: choose a number that divides the ${heads} of model.heads`,
    );
  }
  if (rotaryWidth !== null && (rotaryWidth % 2 !== 0 || rotaryWidth > width / heads)) {
    throw new RangeError(
      `Cannot use model.rotaryWidth = ${rotaryWidth}: choose an even number up to the heads' width ${
        width / heads
      }`,
    );
  }
  if (perLayer.length > layers) {
    throw new RangeError(
      `Cannot use model.perLayer: it has ${perLayer.length} entries, and model.layers is ${layers}`,
    );
  }
  if (train.from === null && train.conversion !== null) {
    throw new RangeError(
      `Cannot use train.conversion = "${train.conversion}": there is nothing to convert; set train.from to a kept model`,
    );
  }
  if (placement.sharded && train.batch % placement.ranks !== 0) {
    throw new RangeError(
      `Cannot use placement.sharded with placement.ranks = ${placement.ranks}: choose ranks that divide the ` +
        `${train.batch} sequences of a batch`,
    );
  }
}

function refusal(error: z.ZodError, given: unknown): string {
  const [issue] = error.issues;
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    const [key] = issue.keys;
    const place = path.length > 0 ? path.join(".") : "a run";
    const value = JSON.stringify(valueAt(given, [...path, key]));
    const names = childrenOf(path);
    const hint = hintOf(key, names, (name) => name);
    return `Cannot set ${[...path, key].join(".")} = ${value}: ${hint}${place} has ${names.join(", ")}`;
  }
  const place = path.length > 0 ? `${path.join(".")} =` : "as a run";
  return `Cannot use ${place} ${JSON.stringify(valueAt(given, path))}: ${issue.message}`;
}

function valueAt(given: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)?.[key], given);
}

/** One setting of the schema, for help and for checking paths. */
export interface SettingInfo {
  /** `train.steps`. */
  readonly path: string;
  /** One line. */
  readonly description: string;
  /** What it is unless it is set. */
  readonly default: unknown;
  /** What may be set: `whole number from 1`, `"dense", "moe" or "none"`. */
  readonly range: string;
}

/** What is read of a JSON schema. */
export type JsonSchema = Record<string, unknown> & {
  properties?: Record<string, JsonSchema>;
  anyOf?: JsonSchema[];
  enum?: unknown[];
};

/**
 * Every setting outside plugins' own options, in order of the schema.
 * @example
 * ```ts
 * import { settingList } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * assertEquals(settingList().find(({ path }) => path === "train.steps"), {
 *   path: "train.steps",
 *   description: "training steps",
 *   default: 150,
 *   range: "whole number from 1",
 * });
 * ```
 */
export function settingList(): SettingInfo[] {
  const walk = (schema: JsonSchema, path: string): SettingInfo[] =>
    Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
      const here = path === "" ? name : `${path}.${name}`;
      if (child.type === "object") return walk(child, here);
      return [{
        path: here,
        description: String(child.description ?? (name === "name" ? `which ${path}` : "")),
        default: child.default,
        range: rangeOf(child),
      }];
    });
  return walk(z.toJSONSchema(runSchema, { io: "input" }) as JsonSchema, "");
}

/** Values that a setting of a JSON schema may have, in words. */
export function rangeOf(
  { type, anyOf, enum: values, minimum, exclusiveMinimum, maximum, exclusiveMaximum }: JsonSchema,
): string {
  if (anyOf) return anyOf.map(rangeOf).join(" or ");
  if (values) return values.map((value) => JSON.stringify(value)).join(", ");
  if (type === "integer" || type === "number") {
    const what = type === "integer" ? "whole number" : "number";
    const low = minimum !== undefined
      ? ` from ${minimum}`
      : exclusiveMinimum !== undefined
      ? ` above ${exclusiveMinimum}`
      : "";
    const high = typeof maximum === "number" && maximum < Number.MAX_SAFE_INTEGER
      ? ` to ${maximum}`
      : exclusiveMaximum !== undefined
      ? ` below ${exclusiveMaximum}`
      : "";
    return what + low + high;
  }
  return type === "boolean" ? "true or false" : String(type ?? "null");
}

function childrenOf(path: readonly string[]): string[] {
  if (path[0] === "model" && path[1] === "perLayer") return [...layerSettings];
  const start = path.length > 0 ? `${path.join(".")}.` : "";
  const names = settingList().filter((one) => one.path.startsWith(start))
    .map((one) => one.path.slice(start.length).split(".")[0]);
  return [...new Set(names)];
}

/**
 * JSON with one value set by path; nothing is changed in place. Another plugin's name drops the options of the one before.
 * @example
 * ```ts
 * import { withSetting } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const json = withSetting({ train: { steps: 5 } }, "router.jitter", 0);
 * assertEquals(json, { train: { steps: 5 }, router: { jitter: 0 } });
 * assertEquals(withSetting(json, "router.name", "hash"), { train: { steps: 5 }, router: { name: "hash" } });
 * ```
 */
export function withSetting(
  json: Readonly<Record<string, unknown>>,
  path: string,
  value: unknown,
): Record<string, unknown> {
  const [head, ...rest] = path.split(".");
  if (rest.length === 0) return { ...json, [head]: value };
  const inner = json[head];
  const object = typeof inner === "object" && inner !== null ? inner as Record<string, unknown> : {};
  if (
    rest.length === 1 && rest[0] === "name" && (object.name ?? usual[head as keyof typeof usual]) !== value
  ) {
    return { ...json, [head]: { name: value } };
  }
  return { ...json, [head]: withSetting(object, rest.join("."), value) };
}

/**
 * A run from settings by path, later ones over earlier ones.
 * @throws {RangeError} as {@linkcode parseConfig} does.
 * @example
 * ```ts
 * import { sizes } from "@switchyard/moe";
 * import { configOf } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const config = configOf(sizes.tiny, { "router.name": "hash", "train.steps": 9 });
 * assertEquals([config.model.width, config.router.name, config.train.steps], [32, "hash", 9]);
 * ```
 */
export function configOf(...settings: readonly Settings[]): RunConfig {
  let json: Record<string, unknown> = {};
  for (const each of settings) {
    const names = Object.entries(each).filter(([path]) => path.endsWith(".name"));
    for (const [path, value] of [...names, ...Object.entries(each)]) json = withSetting(json, path, value);
  }
  return parseConfig(json);
}

/**
 * A config's values by path, plugins' options included; arrays are values.
 * @example
 * ```ts
 * import { flatten } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * assertEquals(flatten({ train: { steps: 9 }, seed: 1 }), { "train.steps": 9, seed: 1 });
 * ```
 */
export function flatten(config: object, path = ""): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).flatMap(([name, value]) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.entries(flatten(value, `${path}${name}.`))
        : [[`${path}${name}`, value]]
    ),
  );
}

/**
 * Sixty-four hexadecimal digits over what decides a run's result: its config and its task's content.
 * @example
 * ```ts
 * import { configDigest, configOf } from "@switchyard/moe/training";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 * const digest = await configDigest(configOf(), "ab12");
 * assertEquals(digest, await configDigest(configOf({ "train.steps": 150 }), "ab12"));
 * assertNotEquals(digest, await configDigest(configOf({ seed: 1 }), "ab12"));
 * ```
 */
export async function configDigest(config: RunConfig, taskDigest: string): Promise<string> {
  const rows = Object.entries(flatten(config)).sort(([a], [b]) => a < b ? -1 : 1);
  const bytes = new TextEncoder().encode(JSON.stringify([rows, taskDigest]));
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
