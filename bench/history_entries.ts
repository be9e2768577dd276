// The file bench/history.jsonl, a line an entry: what may be added, and how new ratios differ from the last entry of the
// same class of machine.
import * as z from "zod";
import { signed } from "../report/numbers.ts";
import { spreadSchema } from "./schema.ts";

/** One line: ratios of one commit on one class of machine. */
export const entrySchema = z.strictObject({
  commit: z.string().regex(/^[0-9a-f]{7,40}\+?$/),
  date: z.iso.date(),
  machine: z.string(),
  /** Left out in entries from before both sides of a ratio were the best of several windows. */
  rounds: z.number().int().min(1).optional(),
  deno: z.string().optional(),
  ratios: z.record(z.string(), spreadSchema),
});

/** One line of the history. */
export type Entry = z.infer<typeof entrySchema>;

/** What was measured now. */
export interface Measured extends Pick<Entry, "machine" | "ratios"> {
  readonly deno: string;
  readonly rounds: number;
}

/** Fewer rounds on either side lie apart by chance too often (3 and 3: once in 10 times) to say anything. */
const LEAST_ROUNDS = 3;
/** Width of a range as a share of its median, past which an entry says nothing of the code. */
const WIDEST = 0.2;

/** The file's text; where there is none yet, an empty one. */
export async function readHistory(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** @throws {RangeError} naming the line that is no entry. */
export function parseHistory(text: string, name: string): Entry[] {
  return text.split("\n").flatMap((line, at) => {
    if (line.trim() === "") return [];
    try {
      return [entrySchema.parse(JSON.parse(line))];
    } catch {
      throw new RangeError(`Cannot read ${name}: line ${at + 1} is no entry of the history`);
    }
  });
}

/** Writes an entry on a line of its own behind `text`, which is what the file holds. */
export async function addEntry(path: string, text: string, entry: Entry): Promise<void> {
  const line = JSON.stringify(entrySchema.parse(entry)) + "\n";
  await Deno.writeTextFile(path, (text === "" || text.endsWith("\n") ? "" : "\n") + line, { append: true });
}

/** @throws {RangeError} for rounds too few for an entry. */
export function checkRounds(rounds: number): void {
  if (rounds >= LEAST_ROUNDS) return;
  throw new RangeError(
    `Cannot add an entry of --rounds ${rounds}: choose at least ${LEAST_ROUNDS}, or --compare`,
  );
}

/** @throws {RangeError} when a range is so wide that it says more of the machine's other work than of the code. */
export function checkSpread(ratios: Entry["ratios"]): void {
  const wide = Object.entries(ratios).map(([name, { median, least, most }]) => ({
    name,
    width: (most - least) / median,
  })).filter(({ width }) => width > WIDEST);
  if (wide.length === 0) return;
  const found = wide.map(({ name, width }) => `${name} ${(100 * width).toFixed(0)}%`).join(", ");
  throw new RangeError(
    `Cannot add an entry: ranges may be ${100 * WIDEST}% of their medians and are wider (${found}); ` +
      "wait until the machine is quiet",
  );
}

/** A line of text for each ratio: how it differs, and what the two ranges say. */
export function changesSince(
  entries: readonly Entry[],
  { machine, deno, rounds, ratios }: Measured,
): string[] {
  const last = entries.findLast((entry) => entry.machine === machine && entry.rounds !== undefined);
  const runtime = last && last.deno !== deno ? `, Deno ${last.deno} then and ${deno} now` : "";
  const known = last
    ? `Ratios since ${last.commit} of ${last.date}${runtime}:`
    : `Ratios; no entry measured like these is from a machine like this (${machine}), so there is nothing to compare with:`;
  const few = rounds < LEAST_ROUNDS || (last?.rounds ?? Infinity) < LEAST_ROUNDS;
  const shown = ({ median, least, most }: z.infer<typeof spreadSchema>) => {
    const range = `[${least.toPrecision(3)}, ${most.toPrecision(3)}]`;
    return least === most ? median.toPrecision(3) : `${median.toPrecision(3)} ${range}`;
  };
  return [
    known,
    ...Object.entries(ratios).map(([name, now]) => {
      const before = last?.ratios[name];
      if (!before) return `  ${name}: ${shown(now)}${last ? ", new" : ""}`;
      const change = signed(100 * (now.median / before.median - 1), 1);
      const apart = now.least > before.most || now.most < before.least;
      return `  ${name}: ${shown(now)}, was ${shown(before)}: ${change}%` +
        (few ? ", too few rounds to tell" : apart ? ", ranges apart" : ", ranges overlap");
    }),
  ];
}
