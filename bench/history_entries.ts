// Lines of bench/history.jsonl, and how a new one differs from the last of the same class of machine.
import { z } from "zod";
import { spreadSchema } from "./schema.ts";

/** One line: ratios of one commit on one class of machine. */
export const entrySchema = z.strictObject({
  commit: z.string().regex(/^[0-9a-f]{7,40}\+?$/),
  date: z.iso.date(),
  machine: z.string(),
  ratios: z.record(z.string(), spreadSchema),
});

/** One line of the history. */
export type Entry = z.infer<typeof entrySchema>;

/** @throws {RangeError} naming the line that is no entry. */
export function parseHistory(text: string, name: string): Entry[] {
  return text.split("\n").filter((line) => line !== "").map((line, at) => {
    try {
      return entrySchema.parse(JSON.parse(line));
    } catch {
      throw new RangeError(`Cannot read ${name}: line ${at + 1} is no entry of the history`);
    }
  });
}

/** A line of text for each ratio; "within its range" when the two ranges overlap. */
export function changesSince(
  entries: readonly Entry[],
  { machine, ratios }: Pick<Entry, "machine" | "ratios">,
): string[] {
  const last = entries.findLast((entry) => entry.machine === machine);
  const known = last
    ? `Ratios since ${last.commit} of ${last.date}:`
    : `Ratios; no entry is from a machine like this (${machine}), so there is nothing to compare with:`;
  const shown = ({ median, least, most }: z.infer<typeof spreadSchema>) =>
    `${median.toPrecision(3)} [${least.toPrecision(3)}, ${most.toPrecision(3)}]`;
  return [
    known,
    ...Object.entries(ratios).map(([name, now]) => {
      const before = last?.ratios[name];
      if (!before) return `  ${name}: ${shown(now)}${last ? ", new" : ""}`;
      const change = 100 * (now.median / before.median - 1);
      const apart = now.least > before.most || now.most < before.least;
      return `  ${name}: ${shown(now)}, was ${shown(before)}: ${change < 0 ? "" : "+"}${change.toFixed(1)}%` +
        (apart ? "" : ", ranges overlap");
    }),
  ];
}
