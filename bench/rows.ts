// What was timed, in rows: a kind of thing, its name and the device it ran on, with figures over rounds.
import { createFigures, type Spread } from "./rounds.ts";
import type { Group } from "./schema.ts";

/** What a row is about. */
export interface Subject {
  readonly group: Group;
  readonly name: string;
  readonly on: string;
}

/** A subject and its figures by name. */
export interface Row extends Subject {
  readonly figures: Readonly<Record<string, Spread>>;
}

/** Rows in the order their subjects came first. */
export interface Rows {
  add(subject: Subject, figures: Readonly<Record<string, number>>): void;
  all(): Row[];
}

/** Collects figures of several rounds. */
export function createRows(): Rows {
  const figures = createFigures();
  return {
    add: ({ group, name, on }, found) => figures.add(JSON.stringify([group, name, on]), found),
    all: () =>
      Object.entries(figures.all()).map(([key, found]) => {
        const [group, name, on] = JSON.parse(key);
        return { group, name, on, figures: found };
      }),
  };
}
