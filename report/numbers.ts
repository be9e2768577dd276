// How numbers read in tables and sentences. Digits follow the uncertainty: two significant digits of the half-width.
import type { Interval } from "./statistics.ts";

interface Known {
  readonly interval: Interval | null;
}

/** Shown where a value does not exist. */
export const missing = "–";

/** Fixed digits with a true minus sign. */
export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

/** Fixed digits, always with a sign. */
export function signed(value: number, digits: number): string {
  const text = fixed(value, digits);
  return text.startsWith("−") || Number(text) === 0 ? text : `+${text}`;
}

/** Digits after the point that show two significant digits of `size`, 2 to 6. */
export function digitsFor(size: number): number {
  // Below this a width is rounding noise: the seeds agree.
  if (!(size > 1e-9)) return 3;
  return Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(size))));
}

function halfWidth({ interval }: Known): number {
  return interval ? (interval.high - interval.low) / 2 : 0;
}

/** `[0.010, 0.050]`, or an empty text when there is no interval. */
export function range(known: Known): string {
  if (!known.interval) return "";
  const digits = digitsFor(halfWidth(known));
  return `[${fixed(known.interval.low, digits)}, ${fixed(known.interval.high, digits)}]`;
}

/** `0.030 nats [0.010, 0.050]`: a value, its unit and its interval, as far as they exist. */
export function amount(value: number, known: Known, unit: string): string {
  const text = [fixed(value, digitsFor(halfWidth(known))), unit, range(known)];
  return text.filter((part) => part !== "").join(" ");
}

/** `0.88 [0.81, 0.95]`, with three digits at most; or the bare value when there is no interval. */
export function ratio({ value, interval }: Known & { readonly value: number }): string {
  const digits = Math.min(3, digitsFor(halfWidth({ interval })));
  const ends = interval ? ` [${fixed(interval.low, digits)}, ${fixed(interval.high, digits)}]` : "";
  return fixed(value, digits) + ends;
}

/** `2.90 times [2.84, 2.96]`, with two digits. */
export function times({ value, interval }: Known & { readonly value: number }): string {
  const ends = interval ? ` [${fixed(interval.low, 2)}, ${fixed(interval.high, 2)}]` : "";
  return `${fixed(value, 2)} times${ends}`;
}

/** `1.23 M`: three significant digits and a metric suffix. */
export function compact(value: number): string {
  if (value === 0) return "0";
  const suffixes = ["", " k", " M", " G", " T", " P"];
  const power = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))) / 3);
  const place = Math.min(suffixes.length - 1, Math.max(0, power));
  const scaled = value / 1000 ** place;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(Number(scaled.toPrecision(3))))));
  return fixed(scaled, Number.isInteger(value) && place === 0 ? 0 : Math.min(6, digits)) + suffixes[place];
}

export function percent(share: number, digits = 1): string {
  return `${fixed(share * 100, digits)}%`;
}

/** `a`, `a and b`, `a, b and c`. */
export function list(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** `1 seed`, `3 seeds`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
