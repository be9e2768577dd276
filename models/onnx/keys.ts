// Whose rows are whose: groupings by expert, and groupings of a part of the experts that follow from them (banks of several
// kinds sort the rows of each kind once more).
import type { Step, Traced } from "./trace.ts";
import { makerOf, withoutViews } from "./lowering.ts";

/** For each expert of a mixture the number it has elsewhere, or -1. */
export type Own = readonly number[];

/** What indices of a gather among rows say. */
export type IndexKind = "token" | "assignment" | "regrouping" | null;

/** What is known of the rows that a grouping sorts. */
export interface Keys {
  /** True for values of rows. */
  isOfRows(value: Traced): boolean;
  /** True for the experts of assignments. */
  isKey(value: Traced): boolean;
  kindOfIndex(index: Traced): IndexKind;
  /** Whose matrices a product takes, from where its groups begin. */
  ownOfOffset(offset: Traced): Own | null;
  /** Who has rows in one grouping that go to their places in another, from an index between the two. */
  regrouping(index: Traced): { readonly from: Own; readonly to: Own } | null;
}

/** Looks at what a grouping by expert, of E experts, sorts. */
export function keysOf(grouping: Step, E: number): Keys {
  const everyone = Array.from({ length: E }, (_, e) => e);
  const isKey = (value: Traced) => withoutViews(value) === withoutViews(grouping.inputs[0]);
  /** The number that follows from an expert's, for values that are a table's entries at it. */
  const table = (value: Traced): Own | null => {
    if (isKey(value)) return everyone;
    const made = makerOf(value);
    if (made?.step.kernel !== "gather_rows") return null;
    const [entries, index] = made.step.inputs;
    const { origin, type } = withoutViews(entries);
    const own = table(index);
    if (!own || origin.kind !== "numbers" || type.shape.length !== 1) return null;
    return own.map((one) => one < 0 ? -1 : origin.values[one]);
  };
  const groupings = new Map<Step, Own | null>([[grouping, everyone]]);
  const ownOf = (step: Step | undefined): Own | null => {
    if (step?.kernel !== "group_by") return null;
    let own = groupings.get(step);
    if (own === undefined) groupings.set(step, own = table(step.inputs[0]));
    return own;
  };
  /** The grouping whose output of a number a value is. */
  const output = (value: Traced, wanted: number): Own | null => {
    const made = makerOf(value);
    return made?.output === wanted ? ownOf(made.step) : null;
  };
  const known = new Map<Traced, boolean>();
  const isOfRows = (value: Traced): boolean => {
    let found = known.get(value);
    if (found === undefined) {
      const made = makerOf(value);
      found = made !== null && (ownOf(made.step) !== null || made.step.inputs.some(isOfRows));
      known.set(value, found);
    }
    return found;
  };
  const gathered = (index: Traced): readonly [Traced, Traced] | null => {
    const made = makerOf(index);
    return made?.step.kernel === "gather_rows" ? [made.step.inputs[0], made.step.inputs[1]] : null;
  };
  return {
    isOfRows,
    isKey,
    kindOfIndex(index) {
      if (output(index, 0)) return "assignment";
      const inner = gathered(index);
      if (!inner || !output(inner[1], 0)) return null;
      if (output(inner[0], 2)) return "regrouping";
      return withoutViews(inner[0]).origin.kind === "numbers" ? "token" : null;
    },
    ownOfOffset(offset) {
      const own = output(offset, 1);
      if (own) return own;
      // From the first row to the last: one matrix for all.
      const inner = gathered(offset);
      const ends = inner && output(inner[0], 1) ? withoutViews(inner[1]).origin : null;
      return ends?.kind === "numbers" && ends.values.length === 2 && ends.values[0] === 0
        ? everyone.map(() => 0)
        : null;
    },
    regrouping(index) {
      const inner = gathered(index);
      const [from, to] = inner ? [output(inner[0], 2), output(inner[1], 0)] : [null, null];
      return from && to ? { from, to } : null;
    },
  };
}
