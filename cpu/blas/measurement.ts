// What is known of a library: whether its products are right, and how fast one thread multiplies beside WebAssembly.
import type { Binding } from "./binding.ts";
import type { Identity } from "./families.ts";

/** Multiply-adds of one thread, two operations each. */
export interface Rates {
  /** Operations a second of one thread on the library. */
  readonly flopPerSecond: number;
  /** The same in WebAssembly, in the same minute. */
  readonly wasmFlopPerSecond: number;
}

/** A library as a process of its own found it. */
export interface Measurement extends Identity, Rates {
  readonly library: string;
  /** The core type that OpenBLAS was told before it was loaded; null for its own choice, or the user's. */
  readonly told: string | null;
  /** What is wrong with its products, or null. */
  readonly wrong: string | null;
}

/** A library that can be used. */
export interface Blas extends Binding {
  /** Name, version and, where it tells, the processor it chose its loops for: what decides the bits of its results. */
  readonly name: string;
  /** The core type that OpenBLAS is told before it is loaded; null for its own choice, or the user's. */
  readonly told: string | null;
  /** How fast one thread is, or why that was not measured. */
  readonly rates: Rates | { readonly why: string };
}

/** In a few words, how fast a library is. */
export function ratesText({ rates }: Pick<Blas, "rates">): string {
  if ("why" in rates) return `not measured: ${rates.why}`;
  const { flopPerSecond, wasmFlopPerSecond } = rates;
  const [library, wasm] = [flopPerSecond, wasmFlopPerSecond].map((each) => (each / 1e9).toFixed(0));
  const slower = flopPerSecond < wasmFlopPerSecond ? ", which is faster" : "";
  return `${library} GFLOP/s a core; WebAssembly: ${wasm}${slower}`;
}

/** There is no library to use. */
export interface NoBlas {
  /** In a few words. */
  readonly why: string;
  /** True when a library is there, but none that will do. */
  readonly opened: boolean;
}

/** Which library is used and how fast it is, for timings; undefined where none is. */
export function usedText(blas: Blas | NoBlas | null): string | undefined {
  return blas === null || "why" in blas ? undefined : `${blas.name}, ${ratesText(blas)}`;
}

/** A library that will not do. */
export interface Refused extends NoBlas {
  readonly library: string;
}

/** A processor. */
export interface Processor {
  readonly name: string;
  /** Extensions as Linux names them; null where that is not known. */
  readonly flags: readonly string[] | null;
}

/** What this machine has to multiply with. */
export interface Survey {
  readonly processor: Processor;
  /** The user's own choice of OpenBLAS's core type, or null. */
  readonly own: string | null;
  /** In the order they are to be preferred where they are equally fast; one under several core types, several times. */
  readonly measured: readonly Measurement[];
  readonly refused: readonly Refused[];
  /** Why the figures could not be kept for the next time, or null. */
  readonly notKept: string | null;
}
