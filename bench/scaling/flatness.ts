// What must not cost anything: cutting one product into many groups of rows, however uneven, and having more experts at
// the same arithmetic. Each is a ratio to the plain case, timed in turns with it.
import type { Device } from "../devices.ts";
import { checkLayer, createLayerSubject, type LayerSize } from "../layer.ts";
import { skews } from "../loads.ts";
import { groupedSubject, productSubject, readingSubject } from "../products.ts";
import { secondsPerCall } from "../repeat.ts";
import { type Spread, spread } from "../rounds.ts";

/** A time over that of the plain case in the same round. */
export interface Ratio {
  readonly E: number;
  readonly skew: number;
  readonly ratio: Spread;
}

/** And what reading all matrices once takes over that plain case: a group of few rows computes little for what it reads. */
export interface GroupedRatio extends Ratio {
  readonly reading: Spread;
}

const WINDOW_SECONDS = 0.1;

/** Experts from 8 on, doubling. */
export function expertCounts(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(most / 8)) + 1 }, (_, at) => 8 * 2 ** at);
}

/**
 * Seconds of a product of T K rows in E groups, the last of them empty, over those of one plain product of as many rows,
 * for each skew.
 */
export async function groupedOverDense(
  { backend }: Device,
  { T, D, F, K }: LayerSize,
  experts: readonly number[],
  rounds: number,
): Promise<GroupedRatio[]> {
  using stack = new DisposableStack();
  const name = "one matrix for all rows";
  const params = { transposeA: false, transposeB: false };
  const dense = stack.use(productSubject(backend, { name, M: T * K, N: F, K: D, params }));
  await dense.check();
  const found: GroupedRatio[] = [];
  for (const E of experts) {
    using matrices = readingSubject(backend, E * D, F);
    await matrices.check();
    for (const skew of skews) {
      using grouped = groupedSubject(backend, { T, E, K, skew, emptyExpert: true }, { K: D, M: F });
      await grouped.check();
      const ratios: number[] = [];
      const readings: number[] = [];
      // One round more: the first warms up.
      for (let round = 0; round <= rounds; round++) {
        const plain = await secondsPerCall(backend, dense.run, WINDOW_SECONDS);
        ratios.push(await secondsPerCall(backend, grouped.run, WINDOW_SECONDS) / plain);
        readings.push(await secondsPerCall(backend, matrices.run, WINDOW_SECONDS) / plain);
      }
      found.push({ E, skew, ratio: spread(ratios.slice(1)), reading: spread(readings.slice(1)) });
    }
  }
  return found;
}

/** Seconds of a block forward and backward with E experts over those with the first number of experts, load even. */
export async function layerOverFewest(
  { backend }: Device,
  size: Omit<LayerSize, "E">,
  experts: readonly number[],
  rounds: number,
): Promise<Ratio[]> {
  using stack = new DisposableStack();
  for (const E of experts) await checkLayer(backend, { ...size, E }, { skew: 0 });
  const layers = experts.map((E) => stack.use(createLayerSubject(backend, { ...size, E }, { skew: 0 })));
  const seconds: number[][] = experts.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [at, { run }] of layers.entries()) {
      seconds[at].push(await secondsPerCall(backend, run, WINDOW_SECONDS));
    }
  }
  return experts.map((E, at) => ({
    E,
    skew: 0,
    ratio: spread(seconds[at].map((each, round) => each / seconds[0][round]).slice(1)),
  }));
}
