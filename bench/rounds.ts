// Figures of rounds that take turns: what disturbs one round of a subject disturbs the others' too, and the spread says
// how far a median can be trusted.

/** A figure over rounds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Median and range; the mean of the middle two for an even number. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("Cannot summarise no rounds at all");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return {
    median: (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2,
    least: sorted[0],
    most: sorted[sorted.length - 1],
  };
}

/** Caption of a table of such figures, shown with or without their ranges. */
export function captionOf(rounds: number, ranges = true): string {
  return rounds === 1 ? "One round" : `Medians over ${rounds} rounds${ranges ? ", with [least, most]" : ""}`;
}

/** The same figure in another unit. */
export function scaled({ median, least, most }: Spread, factor: number): Spread {
  return { median: median * factor, least: least * factor, most: most * factor };
}

/** Figures by subject and name, in the order they came first. */
export interface Figures {
  add(subject: string, figures: Readonly<Record<string, number>>): void;
  all(): Record<string, Record<string, Spread>>;
}

/** Collects figures of several rounds. */
export function createFigures(): Figures {
  const values = new Map<string, Map<string, number[]>>();
  return {
    add(subject, figures) {
      const names = values.get(subject) ?? new Map<string, number[]>();
      values.set(subject, names);
      for (const [name, value] of Object.entries(figures)) names.set(name, [...names.get(name) ?? [], value]);
    },
    all: () =>
      Object.fromEntries(Array.from(values, ([subject, names]) => [
        subject,
        Object.fromEntries(Array.from(names, ([name, found]) => [name, spread(found)])),
      ])),
  };
}
