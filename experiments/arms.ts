// Settings from the command line: `PATH=VALUE` sets one, a list of values makes arms, and a setting that is said twice or
// in two ways is refused. `--set` crosses its lists; `--vary` changes one thing at a time.
import { findRouter, optionNames, routers } from "../routers/registry.ts";
import { insteadOf } from "../tensor/plugins.ts";
import { settingList, type Settings } from "../training/config.ts";
import { hintOf } from "../tensor/nearest.ts";

/** One combination of what is varied. */
export interface Arm {
  /** What sets it apart: `train.steps=60`; empty where nothing varies. */
  readonly label: string;
  readonly settings: Settings;
  /** Options of single routers, by name. */
  readonly routers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** One setting as it was written. */
export interface Assignment {
  /** As written: `train.steps`, `switch.capacityFactor`. */
  readonly path: string;
  /** The router it is for alone, or null. */
  readonly router: string | null;
  readonly values: readonly unknown[];
  /** Where it was written, for refusals: `--set train.steps=60`. */
  readonly source: string;
}

const sections = ["task", "model", "experts", "train", "placement"];

/** What a run's config holds, but a path cannot set, and what to write. */
const elsewhere: Readonly<Record<string, string>> = {
  router: "name routers with --routers, and set the option of one by its name, like switch.capacityFactor=2",
  control: "controls run beside the routers; --no-controls leaves them out",
  seed: "choose how many with --seeds; they are counted from 0, or from a config file's seed",
};

/** Reads `PATH=VALUE[,VALUE...]`. @throws {RangeError} for a path that does not exist. */
export function readAssignment(option: string, word: string): Assignment {
  const [, path, text] = word.match(/^([^=\s]+)=(.*)$/s) ?? [];
  const other = path === undefined ? undefined : elsewhere[path.split(".")[0]];
  if (other !== undefined) throw new RangeError(`Cannot set ${path}: ${other}`);
  if (path === undefined || !path.includes(".")) {
    throw new RangeError(
      `Cannot use --${option} "${word}": write PATH=VALUE, like train.steps=60 or switch.capacityFactor=2`,
    );
  }
  const source = `--${option} ${word}`;
  if (text === "") throw new RangeError(`Cannot use ${source}: it needs a value after =`);
  const values = readValues(text);
  const twice = values.find((value, at) => values.findIndex((other) => same(other, value)) !== at);
  if (twice !== undefined) {
    throw new RangeError(`Cannot use ${source}: ${JSON.stringify(twice)} is in its list twice`);
  }
  const [head, ...rest] = path.split(".");
  if (sections.includes(head)) {
    checkPath(path, head);
    return { path, router: null, values, source };
  }
  const known = routers().map(({ name }) => name);
  if (!known.includes(head)) {
    const hint = hintOf(head, [...sections, ...known]);
    throw new RangeError(
      `Cannot set ${path}: ${hint}there is no router "${head}"; a path begins with ${
        sections.join(", ")
      } or a router's name`,
    );
  }
  checkRouterOption(head, rest.join("."));
  return { path, router: head, values, source };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Plugins check their own options; the rest of a config has a list. */
function checkPath(path: string, section: string): void {
  if (["task", "experts", "router"].includes(section)) return;
  const known = settingList().filter((each) => each.path.startsWith(`${section}.`)).map((each) => each.path);
  if (known.includes(path)) return;
  const names = known.map((each) => each.slice(section.length + 1));
  const hint = hintOf(path.slice(section.length + 1), names, (name) => name);
  throw new RangeError(`Cannot set ${path}: ${hint}${section} has ${names.join(", ")}`);
}

function checkRouterOption(router: string, option: string): void {
  const plugin = findRouter(router);
  const known = optionNames(plugin);
  if (!known || known.includes(option)) return;
  throw new RangeError(`Cannot set ${option} of router "${router}": ${insteadOf(plugin, [option])}`);
}

/** Splits at commas outside brackets, braces and quotes. */
function splitAtCommas(text: string): string[] {
  const parts = [""];
  let depth = 0;
  let quoted = false;
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    else if (!quoted && "[{".includes(letter)) depth++;
    else if (!quoted && "]}".includes(letter)) depth--;
    if (letter === "," && depth === 0 && !quoted) parts.push("");
    else parts[parts.length - 1] += letter;
  }
  return parts;
}

/** JSON, or text; commas outside brackets and quotes separate values. */
function readValues(text: string): unknown[] {
  return splitAtCommas(text).map((part) => {
    try {
      return JSON.parse(part);
    } catch {
      return part;
    }
  });
}

/**
 * All arms: every combination of `crossed`, and with `varied` one change at a time beside the first value of each.
 * @throws {RangeError} when a path is set twice.
 */
export function armsOf(crossed: readonly Assignment[], varied: readonly Assignment[]): Arm[] {
  const all = [...crossed, ...varied];
  const twice = all.find(({ path }, at) => all.findIndex((other) => other.path === path) !== at);
  if (twice) {
    const first = all.find(({ path }) => path === twice.path)!;
    throw new RangeError(
      `Cannot use ${twice.source}: ${twice.path} is set by ${first.source} already; give one a list for several arms`,
    );
  }
  const differing = all.filter(({ values }) => values.length > 1);
  const single = all.filter(({ values }) => values.length === 1).map((each) =>
    [each, each.values[0]] as const
  );
  let combinations: (readonly (readonly [Assignment, unknown])[])[] = [[]];
  for (const each of crossed.filter(({ values }) => values.length > 1)) {
    combinations = combinations.flatMap((one) =>
      each.values.map((value) => [...one, [each, value] as const])
    );
  }
  const turns = varied.filter(({ values }) => values.length > 1);
  if (turns.length > 0) {
    const first = turns.map((each) => [each, each.values[0]] as const);
    const others = turns.flatMap((each, at) =>
      each.values.slice(1).map((value) =>
        first.map((pair, place) => place === at ? [each, value] as const : pair)
      )
    );
    combinations = combinations.flatMap((one) => [first, ...others].map((more) => [...one, ...more]));
  }
  return combinations.map((chosen) => armOf([...single, ...chosen], differing));
}

function armOf(chosen: readonly (readonly [Assignment, unknown])[], differing: readonly Assignment[]): Arm {
  const settings: Record<string, unknown> = {};
  const own: Record<string, Record<string, unknown>> = {};
  for (const [{ path, router }, value] of chosen) {
    if (router === null) settings[path] = value;
    else (own[router] ??= {})[path.slice(router.length + 1)] = value;
  }
  const label = chosen.filter(([each]) => differing.includes(each))
    .map(([{ path }, value]) => `${path}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(
      " ",
    );
  return { label, settings, routers: own };
}
