// Stand-in for jsr:@std/cli/parse-args, for checkouts that cannot reach JSR. Follows std's rules by hand, since
// node:util's parseArgs reads `--unknown value` as a flag and a positional where std reads an option with its value.

type ListOf<T extends string> = T | readonly T[];
type Fallbacks = Readonly<Record<string, unknown>> | undefined;

/** Options of {@linkcode parseArgs}. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  D extends Fallbacks = Fallbacks,
> {
  /** Put what follows `--` in `["--"]` instead of `_`. */
  "--"?: boolean;
  alias?: Readonly<Record<string, string | readonly string[]>>;
  /** Options that take no value; `true` means all of them. */
  boolean?: boolean | ListOf<B>;
  default?: D;
  /** Stop at the first positional. */
  stopEarly?: boolean;
  /** Options that stay text. */
  string?: ListOf<S>;
  /** Options that may be repeated, gathered in an array. */
  collect?: ListOf<C>;
  /** Booleans that `--no-name` turns off. */
  negatable?: string | readonly string[];
  /** Called for what no option names; `false` drops it. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type DefaultOf<D, K> = K extends keyof D ? D[K] : never;
type Plain<T> = T extends string ? string : T extends boolean ? boolean : T extends number ? number : T;
type TextValue<K, C, D> = K extends C ? string[] | Plain<DefaultOf<D, K>>
  : K extends keyof D ? string | Plain<D[K]>
  : string | undefined;
type FlagValue<K, C, D> = K extends C ? boolean[] | Plain<DefaultOf<D, K>>
  : K extends keyof D ? boolean | Plain<D[K]>
  : boolean;

/** What {@linkcode parseArgs} returns: an entry for each named option, and positionals in `_`. */
export type Args<B extends string, S extends string, C extends string, D extends Fallbacks> =
  & { [K in S]: TextValue<K, C, D> }
  & { [K in B]: FlagValue<K, C, D> }
  & { [K in Exclude<keyof NonNullable<D>, S | B>]: unknown }
  & { [K in Exclude<C, S | B>]: unknown[] }
  & { _: (string | number)[]; "--"?: string[] };

const FLAG = /^(?:-(?:(?<doubleDash>-)(?<negated>no-)?)?)(?<key>[^-].*?)(?:=(?<value>.*))?$/s;

function looksLikeNumber(text: string): boolean {
  return /^0x[0-9a-f]+$/i.test(text) || /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(e[-+]?\d+)?$/.test(text);
}

function set(names: boolean | string | readonly string[] | undefined): Set<string> {
  return new Set(names === undefined || typeof names === "boolean" ? [] : [names].flat());
}

/** Reads command-line arguments, as std's `parseArgs` does. */
export function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
  const D extends Fallbacks = undefined,
>(args: readonly string[], options: ParseOptions<B, S, C, D> = {}): Args<B, S, C, D> {
  const strings = set(options.string as string | string[]);
  const booleans = set(options.boolean as string | string[]);
  const collects = set(options.collect as string | string[]);
  const negatables = set(options.negatable);
  const aliases = new Map<string, string[]>();
  for (const [name, others] of Object.entries(options.alias ?? {})) {
    const group = [name, ...[others].flat()];
    for (const one of group) aliases.set(one, group.filter((other) => other !== one));
  }
  const has = (names: Set<string>, key: string) =>
    [key, ...(aliases.get(key) ?? [])].some((one) => names.has(one));
  const known = new Set([...strings, ...booleans, ...collects, ...negatables, ...aliases.keys()]);
  const argv: Record<string, unknown> & { _: (string | number)[] } = { _: [] };

  function assign(path: string, value: unknown): void {
    const keys = path.split(".");
    let holder: Record<string, unknown> = argv;
    for (const key of keys.slice(0, -1)) holder = (holder[key] ??= {}) as Record<string, unknown>;
    const last = keys[keys.length - 1];
    if (has(collects, path)) holder[last] = [...((holder[last] as unknown[]) ?? []), value];
    else holder[last] = value;
  }
  function found(key: string, text: string | boolean, arg: string): void {
    if (!known.has(key) && options.unknown?.(arg, key, text) === false) return;
    const value = typeof text === "string" && !has(strings, key) && looksLikeNumber(text)
      ? Number(text)
      : text;
    for (const name of [key, ...(aliases.get(key) ?? [])]) assign(name, value);
  }
  const isBoolean = (key: string) => has(booleans, key) || (options.boolean === true && !has(strings, key));

  const separator = args.indexOf("--");
  const before = separator < 0 ? args : args.slice(0, separator);
  const after = separator < 0 ? [] : args.slice(separator + 1);
  /** A name whose value, if any, is the next argument; returns how many arguments that took. */
  function named(key: string, next: string | undefined, arg: string): number {
    if (next !== undefined && !isBoolean(key) && !next.startsWith("-")) return found(key, next, arg), 1;
    if (isBoolean(key) && (next === "true" || next === "false")) return found(key, next === "true", arg), 1;
    return found(key, has(strings, key) ? "" : true, arg), 0;
  }
  for (let at = 0; at < before.length; at++) {
    const arg = before[at];
    const groups = arg.startsWith("-") ? arg.match(FLAG)?.groups : undefined;
    if (!groups) {
      if (options.unknown?.(arg) !== false) {
        argv._.push(strings.has("_") || !looksLikeNumber(arg) ? arg : Number(arg));
      }
      if (options.stopEarly) {
        argv._.push(...before.slice(at + 1));
        break;
      }
      continue;
    }
    const { doubleDash, negated, key, value } = groups;
    if (doubleDash) {
      const name = negated ? `no-${key}` : key;
      if (value !== undefined) found(name, isBoolean(name) ? value !== "false" : value, arg);
      else if (negated && has(negatables, key)) found(key, false, arg);
      else at += named(name, before[at + 1], arg);
      continue;
    }
    for (let letter = 0; letter < key.length; letter++) {
      const rest = key.slice(letter + 1);
      const last = letter === key.length - 1;
      if (last && value !== undefined) {
        found(key[letter], isBoolean(key[letter]) ? value !== "false" : value, arg);
      } else if (last) at += named(key[letter], before[at + 1], arg);
      else if (/[A-Za-z]/.test(key[letter]) && looksLikeNumber(rest)) {
        found(key[letter], rest, arg);
        break;
      } else found(key[letter], has(strings, key[letter]) ? "" : true, arg);
    }
  }
  for (const [key, value] of Object.entries(options.default ?? {})) {
    for (const name of [key, ...(aliases.get(key) ?? [])]) if (!(name in argv)) argv[name] = value;
  }
  for (const name of booleans) {
    for (const one of [name, ...(aliases.get(name) ?? [])]) {
      if (!(one in argv)) argv[one] = collects.has(name) ? [] : false;
    }
  }
  for (const name of collects) if (!(name in argv)) argv[name] = [];
  if (options["--"]) argv["--"] = [...after];
  else argv._.push(...after);
  return argv as unknown as Args<B, S, C, D>;
}
