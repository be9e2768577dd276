// Options that several benches take, and what they are when left out.
import type { Option, Words } from "../cli/options.ts";
import { valueOf } from "../cli/options.ts";
import { type AnyRouterPlugin, findRouter } from "../routers/registry.ts";

export const roundsOption: Option = { about: "rounds in which everything takes its turn", value: "N" };
export const routersOption: Option = { about: "routers to time", value: "NAMES", default: "all" };
export const blasOption: Option = {
  about: "products on a BLAS: off, auto (the fastest there is), or a library's path",
  value: "NAME",
  default: "off",
};
export const jsonFlag: Option = { about: "print one JSON object instead of tables" };
export const reportFlag: Option = { about: "also write a page into results/" };

/** Routers that were named, each once, or null. @throws {RangeError} when there is none of a name. */
export function routersOf(words: Words): readonly AnyRouterPlugin[] | null {
  const names = valueOf(words, "routers");
  return names === null ? null : [...new Set(names.split(","))].map(findRouter);
}

/** The numbers of threads that benches use: one, and as many as the machine has cores. */
export function usualThreads(): readonly number[] {
  return [...new Set([1, mostThreads()])];
}

/** As many threads as the machine has cores, 64 at most. */
export function mostThreads(): number {
  return Math.min(64, navigator.hardwareConcurrency);
}
