// What is scaled: one size of an MoE block at a time, from a block of its own in which everything else stays.
import type { LayerSize } from "../layer.ts";

/** One place on an axis. */
export interface Point {
  readonly value: number;
  readonly size: LayerSize;
  readonly threads: number;
}

/** One scaled size. */
export interface Axis {
  readonly name: string;
  /** What stays. */
  readonly about: string;
  /** The exponent of time when arithmetic alone decides. */
  readonly expected: number;
  readonly points: readonly Point[];
}

function powers(from: number, to: number, factor: number): number[] {
  const values = [];
  for (let value = from; value <= to; value *= factor) values.push(value);
  return values;
}

/** All axes; `quick` stops each early. */
export function axesOf(quick: boolean, threads: number): Axis[] {
  const axis = (
    name: string,
    about: string,
    expected: number,
    values: readonly number[],
    at: (value: number) => LayerSize & { readonly threads?: number },
  ): Axis => ({
    name,
    about,
    expected,
    points: values.map((value) => {
      const { threads: own = threads, ...size } = at(value);
      return { value, size, threads: own };
    }),
  });
  return [
    axis(
      "tokens",
      "D=64 F=256 E=8 K=2",
      1,
      powers(256, quick ? 4096 : 65536, 4),
      (T) => ({ T, D: 64, F: 256, E: 8, K: 2 }),
    ),
    axis(
      "experts",
      "T=8192 D=128 F=512 K=1: the same arithmetic",
      0,
      powers(1, quick ? 16 : 256, 4),
      (E) => ({ T: 8192, D: 128, F: 512, E, K: 1 }),
    ),
    axis(
      "width",
      "T=512 F=4D E=8 K=2",
      2,
      powers(64, quick ? 256 : 1024, 2),
      (D) => ({ T: 512, D, F: 4 * D, E: 8, K: 2 }),
    ),
    axis(
      "choices",
      "T=2048 D=64 F=256 E=16",
      1,
      powers(1, quick ? 4 : 8, 2),
      (K) => ({ T: 2048, D: 64, F: 256, E: 16, K }),
    ),
    axis(
      "threads",
      "T=2048 D=128 F=512 E=8 K=2",
      -1,
      Array.from({ length: threads }, (_, at) => at + 1),
      (threads) => ({ T: 2048, D: 128, F: 512, E: 8, K: 2, threads }),
    ),
  ];
}
