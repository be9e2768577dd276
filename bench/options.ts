// Words of a bench's command line, checked before anything is timed: every mistake is one sentence that names the value
// and what is allowed.
import { parseArgs } from "@std/cli/parse-args";

/** Options of a command: those with a value and what they are when left out, and those without. */
export interface Known {
  readonly values: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
}

/** What was given, defaults filled in. */
export interface Given {
  value(name: string): string;
  flag(name: string): boolean;
}

/**
 * Options of a command line; `--help` lists them with their defaults and ends the program.
 * @throws {RangeError} for a word that is no option.
 */
export function readWords(words: readonly string[], { values, flags }: Known): Given {
  if (words.includes("--help")) {
    for (const [name, value] of Object.entries(values)) {
      console.log(value === "" ? `  --${name}` : `  --${name}`.padEnd(14) + `default ${value}`);
    }
    for (const name of flags) console.log(`  --${name}`);
    console.log("What they mean: docs/benchmarks.md; of bench:peers: bench/peers/README.md");
    Deno.exit(0);
  }
  const found = parseArgs([...words], {
    string: Object.keys(values),
    boolean: [...flags],
    default: { ...values },
    unknown: (word: string) => {
      const known = [...Object.keys(values), ...flags, "help"].map((name) => `--${name}`).join(", ");
      throw new RangeError(`Cannot use "${word}": there are ${known}`);
    },
  }) as Record<string, unknown>;
  return { value: (name) => String(found[name]), flag: (name) => found[name] === true };
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
