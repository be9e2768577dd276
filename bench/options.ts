// Words of a bench's command line, checked before anything is timed: every mistake is one sentence that names the value
// and what is allowed.
import { parseArgs } from "@std/cli/parse-args";

/** Options of a command: those with a value and what they are when left out, and those without. */
export interface Known {
  readonly values: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  /** What `--help` says; left out, the options with their defaults. */
  readonly help?: string;
}

/** What was given, defaults filled in. */
export interface Given {
  value(name: string): string;
  /** True when the option was given a value. */
  has(name: string): boolean;
  flag(name: string): boolean;
}

/**
 * Options of a command line; `--help` lists them with their defaults and ends the program.
 * @throws {RangeError} for a word that is no option, and for an option without its value.
 */
export function readWords(words: readonly string[], { values, flags, help }: Known): Given {
  if (words.includes("--help")) {
    console.log(help ?? helpOf(values, flags));
    Deno.exit(0);
  }
  const found = parseArgs([...words], {
    string: Object.keys(values),
    boolean: [...flags],
    unknown: (word: string) => {
      const known = [...Object.keys(values), ...flags, "help"].map((name) => `--${name}`).join(", ");
      throw new RangeError(`Cannot use "${word}": there are ${known}`);
    },
  }) as Record<string, unknown>;
  for (const name of Object.keys(values)) {
    if (found[name] === "") throw new RangeError(`Cannot use --${name}: it needs a value`);
  }
  return {
    value: (name) => String(found[name] ?? values[name]),
    has: (name) => found[name] !== undefined,
    flag: (name) => found[name] === true,
  };
}

function helpOf(values: Known["values"], flags: Known["flags"]): string {
  return [
    ...Object.entries(values).map(([name, value]) =>
      value === "" ? `  --${name}` : `  --${name}`.padEnd(14) + `default ${value}`
    ),
    ...flags.map((name) => `  --${name}`),
    "What they mean: docs/benchmarks.md; of bench:peers: bench/peers/README.md",
  ].join("\n");
}

/** @throws {RangeError} when it is no whole number from `least` to `most`. */
export function wholeNumber(option: string, text: string, least = 1, most = Infinity): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`Cannot use --${option} ${text}: choose a whole number ${range}`);
}

/** Whole numbers with commas between, each once. @throws {RangeError} when one is not. */
export function wholeNumbers(option: string, text: string, least = 1, most = Infinity): number[] {
  return [...new Set(text.split(",").map((each) => wholeNumber(option, each, least, most)))];
}

/** The threads benches use: one, and as many as the machine has cores. */
export function usualThreads(): string {
  return [...new Set([1, Math.min(64, navigator.hardwareConcurrency)])].join(",");
}

/** Runs a command; what it says it cannot do is one line and an exit code. */
export async function command(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("Cannot "))) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
