// Time and memory of an MoE block, forward and backward, along each axis. A point has a device of its own, whose peak of
// memory is therefore the point's own; points of an axis take turns.
import type { Axis } from "./axes.ts";
import { type BlasChoice, openCpu } from "./devices.ts";
import { type Exponent, exponentOf } from "./fit.ts";
import { createLayerSubject } from "./layer.ts";
import { secondsPerCall } from "./repeat.ts";
import { type Spread, spread } from "./rounds.ts";
import { verified } from "./verify.ts";

/** One measured place on an axis. */
export interface CurvePoint {
  readonly value: number;
  readonly seconds: Spread;
  readonly flopPerSecond: number;
  readonly peakBytes: number;
}

/** One measured axis. */
export interface Curve {
  readonly name: string;
  readonly about: string;
  readonly expected: number;
  readonly points: readonly CurvePoint[];
  /** Exponents of time and memory over all points, or null where there is one point only. */
  readonly time: Exponent | null;
  readonly memory: Exponent | null;
}

const WINDOW_SECONDS = 0.05;

/** Measures one axis. */
export async function measureCurve(
  { name, about, expected, points }: Axis,
  rounds: number,
  blas: BlasChoice,
): Promise<Curve> {
  using stack = new DisposableStack();
  const turns = [];
  for (const { value, size, threads } of points) {
    const device = stack.use(await openCpu(threads, blas));
    if (value === points[0].value) {
      await verified(device.backend, async (watching) => {
        using few = createLayerSubject(watching, { ...size, T: Math.min(size.T, 256) }, { skew: 0 });
        await few.run();
      });
    }
    const { run, flop } = createLayerSubject(device.backend, size, { skew: 0 });
    await run();
    turns.push({ value, device, run, flop, peakBytes: device.peakBytes(), seconds: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { device, run, seconds } of turns) {
      seconds.push(await secondsPerCall(device.backend, run, WINDOW_SECONDS));
    }
  }
  const found = turns.map(({ value, peakBytes, flop, seconds }): CurvePoint => ({
    ...{ value, peakBytes, seconds: spread(seconds) },
    flopPerSecond: flop / spread(seconds).median,
  }));
  const fitted = (of: (point: CurvePoint) => number) =>
    found.length < 2 ? null : exponentOf(found.map((point) => ({ x: point.value, y: of(point) })));
  return {
    ...{ name, about, expected, points: found },
    time: fitted(({ seconds }) => seconds.median),
    memory: fitted(({ peakBytes }) => peakBytes),
  };
}
