// A group of fields: those that are named first open, the others behind a click.
/// <reference lib="dom" />
import { element } from "../dom.ts";
import type { Field } from "./fields.ts";
import { type FieldElement, fieldElement } from "./field.ts";

/** Fields in the page. */
export interface Form {
  readonly root: HTMLElement;
  /** Shows values by name; those in `own` are the user's. */
  show(values: Readonly<Record<string, unknown>>, own: Readonly<Record<string, unknown>>): void;
}

/** What a form is made of. */
export interface FormParts {
  /** Unique in the page; ids of fields begin with it. */
  readonly id: string;
  readonly fields: readonly Field[];
  /** Fields that are not behind a click. */
  readonly first: readonly string[];
  /** What the click is on. */
  readonly more: string;
  /** Takes a value, undefined for the default; returns what is wrong with it. */
  set(name: string, value: unknown): string | null;
}

/** A form. */
export function createForm({ id, fields, first, more, set }: FormParts): Form {
  const made = new Map<string, FieldElement>(
    fields.map((field) => [
      field.name,
      fieldElement(field, `${id}-${field.name}`, (value) => set(field.name, value)),
    ]),
  );
  const roots = (wanted: (name: string) => boolean) =>
    [...made].filter(([name]) => wanted(name)).map(([, { root }]) => root);
  const open = roots((name) => first.includes(name));
  const closed = roots((name) => !first.includes(name));
  const root = element("div", { class: "fields" }, ...open);
  if (closed.length > 0) {
    root.append(element("details", {}, element("summary", {}, `${more} (${closed.length})`), ...closed));
  }
  return {
    root,
    show(values, own) {
      for (const [name, field] of made) field.show(values[name], Object.hasOwn(own, name));
    },
  };
}
