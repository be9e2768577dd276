// What `--json` prints, as a schema: programs that read it can check it with the same one.
import * as z from "zod";

const figure = z.number().min(0);

/** A figure over rounds. */
export const spreadSchema = z.strictObject({ median: figure, least: figure, most: figure })
  .refine(({ median, least, most }) => least <= median && median <= most, "a median lies in its range");

const groupSchema = z.enum(["roof", "product", "grouped", "layer", "small", "step", "kernel"]);

/** Kinds of things that are timed. */
export type Group = z.infer<typeof groupSchema>;

/** One timed thing. Figures are in base units: seconds, flop, bytes; names that start with "of" or end in "Share" are shares. */
export const rowSchema = z.strictObject({
  group: groupSchema,
  name: z.string(),
  /** Device. */
  on: z.string(),
  figures: z.record(z.string(), spreadSchema),
});

/** Output of `deno task bench --json`. */
export const benchSchema = z.strictObject({
  machine: z.string(),
  date: z.iso.date(),
  command: z.string(),
  size: z.string(),
  layer: z.strictObject({ T: figure, D: figure, F: figure, E: figure, K: figure }),
  rounds: z.number().int().min(1),
  /** Kernels that were checked against their references before anything was timed. */
  checked: z.array(z.string()).readonly(),
  /** Router of the step whose kernels are rows. */
  profiled: z.string(),
  rows: z.array(rowSchema).readonly(),
});

/** What one run of the bench found. */
export type BenchResult = z.infer<typeof benchSchema>;
