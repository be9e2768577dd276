// Learning rate by step: linear warm-up, then a cosine down to a tenth of the peak.

/** Settings of {@linkcode learningRateAt}. */
export interface Schedule {
  /** Highest learning rate, reached when warm-up ends. */
  readonly peak: number;
  /** Training steps in all. */
  readonly steps: number;
  /** Share of all steps spent warming up. */
  readonly warmupShare: number;
  /** Rate at the end as a share of the peak. */
  readonly endShare: number;
}

/** Shares that {@linkcode train} uses. */
export const scheduleDefaults = { warmupShare: 0.1, endShare: 0.1 } as const;

/**
 * Learning rate of a step, counted from 0: linear warm-up, then a cosine (Loshchilov and Hutter 2017, equation 5).
 * @example
 * ```ts
 * import { learningRateAt, scheduleDefaults } from "@switchyard/moe/training";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const schedule = { peak: 1, steps: 100, ...scheduleDefaults };
 * assertEquals([learningRateAt(0, schedule), learningRateAt(10, schedule)], [0.1, 1]);
 * assertAlmostEquals(learningRateAt(100, schedule), 0.1);
 * ```
 */
export function learningRateAt(step: number, { peak, steps, warmupShare, endShare }: Schedule): number {
  const warmup = Math.max(1, Math.round(steps * warmupShare));
  if (step < warmup) return peak * (step + 1) / warmup;
  const progress = (step - warmup) / Math.max(1, steps - warmup);
  return peak * (endShare + (1 - endShare) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
