// The one reader of command lines: a task declares its options, and from the declaration follow what it accepts, what it
// refuses, and what --help prints.
import { parseArgs } from "@std/cli/parse-args";
import config from "../deno.json" with { type: "json" };
import { hintOf } from "../tensor/nearest.ts";

/** An option: one that takes a value names it as `value`, the others are flags. */
export interface Option {
  readonly about: string;
  /** How help writes the value: `N`, `FILE`, `cpu|webgpu`. */
  readonly value?: string;
  /** The value is a path, from where the user stands. */
  readonly isPath?: true;
  /** What the option alone stands for, where its value may be left out. */
  readonly alone?: string;
  /** What is taken when the option is left out, as help shows it. */
  readonly default?: string;
  /** May be given more than once. */
  readonly repeatable?: true;
}

/** A task's command line. */
export interface CommandLine {
  /** As typed: `bench:scaling`. */
  readonly task: string;
  readonly about: string;
  /** What may stand beside options, as help writes it: `[EXPERIMENT]`; left out, nothing may. */
  readonly operands?: string;
  readonly options: Readonly<Record<string, Option>>;
  /** Lines below the options. */
  readonly notes?: readonly string[];
}

/** Words of a command line, split; values are not looked up yet. */
export interface Words {
  readonly names: readonly string[];
  /** Of each option that takes a value, what was given. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  readonly flags: Readonly<Record<string, boolean>>;
}

const common: CommandLine["options"] = {
  help: { about: "this text" },
  version: { about: "version of this package" },
};

/**
 * Splits a command line.
 * @throws {RangeError} for a word the task does not know, an option given twice that takes one value, or one without it.
 */
export function splitWords(words: readonly string[], line: CommandLine): Words {
  const options = Object.entries({ ...line.options, ...common });
  const strings = options.filter(([, { value }]) => value !== undefined).map(([name]) => name);
  const booleans = options.filter(([, { value }]) => value === undefined).map(([name]) => name);
  const parsed = parseArgs(withNegatives(words, strings), {
    string: strings,
    boolean: booleans,
    collect: strings,
    alias: { h: "help" },
    unknown: (word: string) => {
      if (word.startsWith("-") || line.operands === undefined && word !== "help") refuseWord(word, line);
      return true;
    },
  }) as Record<string, unknown> & { _: (string | number)[] };
  const names = parsed._.map(String);
  const values = Object.fromEntries(strings.map((name) => [name, (parsed[name] ?? []) as string[]]));
  const flags = Object.fromEntries(booleans.map((name) => [name, parsed[name] === true]));
  if (names.length === 1 && names[0] === "help") {
    return { names: [], values, flags: { ...flags, help: true } };
  }
  for (const [name, { repeatable, alone }] of options) {
    if (alone !== undefined) values[name] = values[name].map((value) => value === "" ? alone : value);
    if (!repeatable) checkOnce(name, values[name] ?? []);
  }
  return { names, values, flags };
}

function checkOnce(name: string, given: readonly string[]): void {
  if (given.length > 1) {
    throw new RangeError(`Cannot use --${name} ${given.at(-1)}: it was ${given[0]} before; give it once`);
  }
  if (given[0] === "") throw new RangeError(`Cannot use --${name}: it needs a value`);
}

/** A negative number after an option is its value: `--seeds -1` is to be refused for the number. */
function withNegatives(words: readonly string[], strings: readonly string[]): string[] {
  const isNegative = (word: string | undefined) => word !== undefined && /^-[\d.]/.test(word);
  const takesValue = (word: string | undefined) => word?.startsWith("--") && strings.includes(word.slice(2));
  return words.flatMap((word, at) => {
    if (isNegative(word) && takesValue(words[at - 1])) return [];
    return takesValue(word) && isNegative(words[at + 1]) ? [`${word}=${words[at + 1]}`] : [word];
  });
}

function refuseWord(word: string, { task, options, operands }: CommandLine): never {
  const known = Object.keys({ ...options, ...common }).map((name) => `--${name}`);
  const written = word.split("=")[0];
  const hint = hintOf(written, known, (name) => name);
  const whole = `deno task ${task}${operands === undefined ? "" : ` ${operands}`}`;
  throw new RangeError(`Cannot use "${word}": ${hint}${whole} has ${known.join(", ")}`);
}

/** The value of an option, or null. */
export function valueOf({ values }: Pick<Words, "values">, name: string): string | null {
  return values[name].at(-1) ?? null;
}

/** A whole number within bounds, or null. @throws {RangeError} when it is none, or out of bounds. */
export function wholeNumberOf(
  words: Pick<Words, "values">,
  name: string,
  least: number,
  most = Infinity,
): number | null {
  const text = valueOf(words, name);
  return text === null ? null : wholeNumber(name, text, least, most);
}

/** @throws {RangeError} when it is no whole number from `least` to `most`. */
export function wholeNumber(option: string, text: string, least: number, most = Infinity): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`Cannot use --${option} ${text}: choose a whole number ${range}`);
}

/** A number, or null; its range is for whoever uses it to check. @throws {RangeError} when it is none. */
export function numberOf(words: Pick<Words, "values">, name: string): number | null {
  const text = valueOf(words, name);
  if (text === null) return null;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new RangeError(`Cannot use --${name} ${text}: it is no number`);
}

/** Whole numbers with commas between, each once, or null. @throws {RangeError} when one is not. */
export function wholeNumbersOf(
  words: Pick<Words, "values">,
  name: string,
  least: number,
  most = Infinity,
): number[] | null {
  const text = valueOf(words, name);
  return text === null
    ? null
    : [...new Set(text.split(",").map((each) => wholeNumber(name, each, least, most)))];
}

const WIDTH = 110;

/** What `--help` prints. */
export function helpText({ task, about, operands, options, notes = [] }: CommandLine): string {
  const rows = Object.entries({ ...options, ...common }).map((
    [name, { about, value, alone, default: usual }],
  ) =>
    [
      value === undefined ? `--${name}` : `--${name} ${alone === undefined ? value : `[${value}]`}`,
      usual === undefined ? about : `${about} (default ${usual})`,
    ] as const
  );
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const lines = rows.flatMap(([name, about]) => {
    const [first, ...rest] = wrapped(about, WIDTH - width - 2);
    return [`  ${name.padEnd(width)}${first}`, ...rest.map((line) => `  ${"".padEnd(width)}${line}`)];
  });
  const usage = ["deno task", task, ...(operands === undefined ? [] : [operands]), "[options]"].join(" ");
  return [...wrapped(about, WIDTH), "", `  ${usage}`, "", ...lines, "", ...notes].join("\n").trimEnd();
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Runs a task: answers --help and --version, and turns what it cannot do into one line and exit code 1. */
export async function runTask(
  line: CommandLine,
  main: (words: Words) => Promise<void> | void,
): Promise<void> {
  try {
    const words = splitWords(Deno.args, line);
    if (words.flags.help) console.log(helpText(line));
    else if (words.flags.version) console.log(`${config.name} ${config.version}`);
    else await main(words);
  } catch (error) {
    console.error(isExpected(error) ? error.message : error);
    Deno.exit(1);
  }
}

/** What a task says it cannot do; everything else is a mistake of ours and keeps its stack. */
export function isExpected(error: unknown): error is Error {
  return error instanceof Error && error.message.startsWith("Cannot ");
}
