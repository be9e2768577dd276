// What `deno task gpu:check` finds, as a schema: programs that read its JSON can check it with the same one.
import * as z from "zod";

const figure = z.number().min(0);

/** What is done, in its order; limits and features are always read. */
export const parts = ["kernels", "products", "block", "steps", "pytorch"] as const;

/** One of them. */
export type Part = typeof parts[number];

const kernelSchema = z.strictObject({
  name: z.string(),
  /** Cases of its contract that were compared with the f64 reference. */
  cases: z.number().int().min(0),
  /** What was wrong, a line each; empty = all within the roundings that the kernel declares. */
  wrong: z.array(z.string()).readonly(),
  /** The largest call that was compared with the f64 reference as well; null where no training step ran it. */
  checkedAt: z.string().nullable(),
  /** The largest call, timed; null where no training step ran it. */
  timed: z.strictObject({
    at: z.string(),
    flop: figure,
    bytes: figure,
    seconds: figure,
    /** What the call takes at the limits measured here. */
    leastSeconds: figure,
  }).nullable(),
});

/** One kernel. */
export type KernelFound = z.infer<typeof kernelSchema>;

const comparedSchema = z.strictObject({
  name: z.string(),
  precision: z.enum(["full", "half"]),
  cpuLosses: z.array(z.number()).readonly(),
  gpuLosses: z.array(z.number()).readonly(),
  /** Largest |gpu - cpu| / |cpu|. */
  apart: figure,
  /** What counts as apart: more than this is reported. */
  allowed: figure,
  cpuSeconds: figure,
  gpuSeconds: figure,
});

/** Losses of one thing on both processors. */
export type Compared = z.infer<typeof comparedSchema>;

const speedSchema = z.strictObject({
  name: z.string(),
  flop: figure,
  seconds: figure,
  /** Share of the peak measured here. */
  ofPeak: figure,
});

/** One timed product or block. */
export type Speed = z.infer<typeof speedSchema>;

/** Output of `deno task gpu:check --json`. */
export const gpuCheckSchema = z.strictObject({
  machine: z.string(),
  date: z.iso.date(),
  command: z.string(),
  seconds: figure,
  adapter: z.strictObject({
    name: z.string(),
    /** True when it computes on the CPU: then everything is small, and times say nothing about a GPU. */
    software: z.boolean(),
    arithmetic: z.string(),
    limits: z.record(z.string(), z.number()),
    features: z.array(z.string()).readonly(),
  }),
  parts: z.array(z.enum(parts)).readonly(),
  roof: z.strictObject({
    flopPerSecond: figure,
    /** Bytes a second of adding two arrays, by working set. */
    bandwidths: z.array(z.strictObject({ bytes: figure, bytesPerSecond: figure })).readonly(),
    /** Seconds of a dispatch that has next to nothing to do. */
    launchSeconds: figure,
  }),
  kernels: z.array(kernelSchema).readonly(),
  products: z.array(speedSchema).readonly(),
  blocks: z.array(speedSchema).readonly(),
  compared: z.array(comparedSchema).readonly(),
  pytorch: z.strictObject({ about: z.string(), loss: z.number(), blocks: z.array(speedSchema).readonly() })
    .nullable(),
  /** What failed, and with what error. */
  failed: z.array(z.string()).readonly(),
  /** What was not done, and why. */
  leftOut: z.array(z.string()).readonly(),
});

/** What one run found. */
export type GpuCheck = z.infer<typeof gpuCheckSchema>;
