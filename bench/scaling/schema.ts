// What `deno task bench:scaling --json` prints, as a schema.
import * as z from "zod";
import { spreadSchema } from "../schema.ts";

const figure = z.number().min(0);
const layer = z.strictObject({ T: figure, D: figure, F: figure, E: figure, K: figure });
const exponent = z.strictObject({
  value: z.number(),
  interval: z.tuple([z.number(), z.number()]).readonly().nullable(),
})
  .nullable();
const ratio = z.strictObject({ E: figure, skew: figure, ratio: spreadSchema });

/** Output of `deno task bench:scaling --json`. Base units; ratios have none. */
export const scalingSchema = z.strictObject({
  machine: z.string(),
  date: z.iso.date(),
  command: z.string(),
  threads: z.number().int().min(1),
  rounds: z.number().int().min(1),
  curves: z.array(z.strictObject({
    name: z.string(),
    about: z.string(),
    /** Exponent of time when arithmetic alone decides. */
    expected: z.number(),
    points: z.array(
      z.strictObject({
        value: figure,
        seconds: spreadSchema,
        flopPerSecond: figure,
        peakBytes: figure,
        heldBytes: figure,
      }),
    ).readonly(),
    time: exponent,
    memory: exponent,
  })),
  /** Grouped product, its last group empty, and one reading of its matrices, over the plain one of as many rows. */
  grouped: z.array(ratio.extend({ reading: spreadSchema })),
  groupedSize: layer,
  /** Block with E experts over the block with the fewest, at equal active FLOPs. */
  layers: z.array(ratio),
  layerSize: layer,
  /** Peak of a training step beside what is counted by hand. */
  memory: z.array(z.strictObject({
    size: z.string(),
    router: z.string(),
    /** Of arrays at once. */
    peakBytes: figure,
    /** Of memory in all: arrays, gaps between them, scratch of each thread. */
    heldBytes: figure,
    byHand: z.strictObject({ parameters: figure, optimizer: figure, activations: figure, gradients: figure }),
  })),
});

/** What one run of the scaling bench found. */
export type ScalingResult = z.infer<typeof scalingSchema>;
