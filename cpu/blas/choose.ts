// Which of the measured libraries products go to: of those that are right, the fastest, unless WebAssembly is faster.
import type { Identity } from "./families.ts";
import type { Measurement, NoBlas, Survey } from "./measurement.ts";

/** A faster library by less than this is not worth another. */
const MARGIN = 1.05;

/** What a choice has to mind. */
export interface Wish {
  /** Threads that will call it. */
  readonly threads: number;
  /** False where this program may not tell OpenBLAS a core type. */
  readonly mayTell: boolean;
  /** True for a library that was asked for by name: it may be slower than WebAssembly. */
  readonly named: boolean;
}

/** Why a library will not do for so many threads; null when it will. */
export function whyNot({ singleThreaded }: Pick<Identity, "singleThreaded">, threads: number): string | null {
  if (threads === 1 || !singleThreaded) return null;
  return "it is a build for one thread at a time: choose one with threads, or threads: 1";
}

/** Chooses, or says why there is nothing to choose. */
export function choose(
  { measured, refused }: Survey,
  { threads, mayTell, named }: Wish,
): Measurement | NoBlas {
  const judged = measured.filter(({ told }) => told === null || mayTell).map((each) => {
    const slow = !named && each.flopPerSecond < each.wasmFlopPerSecond
      ? "it is slower than WebAssembly"
      : null;
    const wrong = each.wrong === null ? null : `its products are wrong: ${each.wrong}`;
    return { each, why: wrong ?? whyNot(each, threads) ?? slow };
  });
  const left = judged.filter(({ why }) => why === null).map(({ each }) => each);
  const fastest = Math.max(...left.map(({ flopPerSecond }) => flopPerSecond));
  const found = left.find(({ flopPerSecond }) => flopPerSecond * MARGIN >= fastest);
  if (found) return found;
  const reasons = [
    ...judged.map(({ each, why }) => ({ of: each.name, why })),
    ...refused.filter(({ opened }) => opened).map(({ library, why }) => ({ of: library, why })),
  ];
  if (reasons.length > 0) {
    const why = named ? reasons[0].why! : reasons.map(({ of, why }) => `${of}: ${why}`).join("; ");
    return { why, opened: true };
  }
  return { why: refused[0]?.why ?? "none is installed", opened: false };
}
