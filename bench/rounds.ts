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

/** The same figure in another unit. */
export function scaled({ median, least, most }: Spread, factor: number): Spread {
  return { median: median * factor, least: least * factor, most: most * factor };
}

/** What was timed: a kind of thing, its name, and the device it ran on. */
export interface Subject {
  readonly group: string;
  readonly name: string;
  readonly on: string;
}

/** A subject and its figures by name. */
export interface Row extends Subject {
  readonly figures: Readonly<Record<string, Spread>>;
}

/** Figures by subject, in the order they came first. */
export interface Figures {
  add(subject: Subject, figures: Readonly<Record<string, number>>): void;
  rows(): Row[];
}

/** Collects figures of several rounds. */
export function createFigures(): Figures {
  const found = new Map<string, { subject: Subject; values: Map<string, number[]> }>();
  return {
    add({ group, name, on }, figures) {
      const key = JSON.stringify([group, name, on]);
      const entry = found.get(key) ?? { subject: { group, name, on }, values: new Map<string, number[]>() };
      found.set(key, entry);
      for (const [figure, value] of Object.entries(figures)) {
        entry.values.set(figure, [...entry.values.get(figure) ?? [], value]);
      }
    },
    rows: () =>
      Array.from(found.values(), ({ subject, values }) => ({
        ...subject,
        figures: Object.fromEntries(Array.from(values, ([figure, all]) => [figure, spread(all)])),
      })),
  };
}
