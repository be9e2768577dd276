// Time and memory of an MoE block, forward and backward, along each axis. A point has a device of its own, whose peak of
// memory is therefore the point's own; points of an axis take turns.
import type { Axis } from "./axes.ts";
import { type BlasChoice, openCpu } from "../devices.ts";
import { type Exponent, exponentOf } from "./fit.ts";
import { checkLayer, createLayerSubject, type LayerSize } from "../layer.ts";
import { secondsPerCall } from "../repeat.ts";
import { type Spread, spread } from "../rounds.ts";

/** One measured place on an axis. */
export interface CurvePoint {
  readonly value: number;
  readonly seconds: Spread;
  readonly flopPerSecond: number;
  /** The most bytes of arrays at once, and of memory in all with gaps and scratch. */
  readonly peakBytes: number;
  readonly heldBytes: number;
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

/** On a device of its own: what a check keeps for a while is not the point's memory. */
async function check(size: LayerSize, threads: number, blas: BlasChoice): Promise<void> {
  using device = await openCpu(threads, blas);
  await checkLayer(device.backend, size, { skew: 0 });
}

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
    await check(size, threads, blas);
    const { run, flop } = createLayerSubject(device.backend, size, { skew: 0 });
    await run();
    const taken = { peakBytes: device.peakBytes(), heldBytes: device.heldBytes() };
    turns.push({ value, device, run, flop, taken, seconds: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { device, run, seconds } of turns) {
      seconds.push(await secondsPerCall(device.backend, run, WINDOW_SECONDS));
    }
  }
  const found = turns.map(({ value, taken, flop, seconds }): CurvePoint => ({
    value,
    ...taken,
    seconds: spread(seconds),
    flopPerSecond: flop / spread(seconds).median,
  }));
  const fitted = (of: (point: CurvePoint) => number) =>
    found.length < 2 ? null : exponentOf(found.map((point) => ({ x: point.value, y: of(point) })));
  return {
    name,
    about,
    expected,
    points: found,
    time: fitted(({ seconds }) => seconds.median),
    memory: fitted(({ peakBytes }) => peakBytes),
  };
}
