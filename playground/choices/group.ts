// What groups of the form share: lists to choose from, and places for the fields of a plugin.
/// <reference lib="dom" />
import { withValue } from "../address.ts";
import { element } from "../dom.ts";
import type { Form } from "../form/form.ts";
import type { PageState } from "../state.ts";

/** What the form needs of the page. */
export interface StateAccess {
  state(): PageState;
  /** Takes a new state; returns what is wrong with it, which leaves the old one. */
  set(state: PageState): string | null;
}

/** A part of the form. */
export interface Group {
  readonly root: HTMLElement;
  show(state: PageState): void;
}

/** A part with its heading. */
export function fieldset(heading: string, ...children: readonly (Node | string)[]): HTMLFieldSetElement {
  return element("fieldset", {}, element("legend", {}, heading), ...children);
}

/** A list to choose from. @param label Said to screen readers alone where a heading says it too. */
export function choice(
  id: string,
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: (value: string) => void,
  hasHeading = true,
): { readonly root: HTMLElement; readonly select: HTMLSelectElement } {
  const select = element(
    "select",
    { id },
    ...options.map(([value, text]) => element("option", { value }, text)),
  );
  select.addEventListener("change", () => chosen(select.value));
  return {
    root: element(
      "div",
      { class: "field wide" },
      element("label", { for: id, class: hasHeading ? "unseen" : null }, label),
      select,
    ),
    select,
  };
}

/** Fields of a plugin, made anew when another one is chosen. */
export function formSlot(): { readonly root: HTMLElement; fill(key: string, make: () => Form): Form } {
  const root = element("div");
  let [filled, form] = ["", null as Form | null];
  return {
    root,
    fill(key, make) {
      if (form && filled === key) return form;
      [filled, form] = [key, make()];
      root.replaceChildren(form.root);
      return form;
    },
  };
}

/** Sets a setting of the run by its path; undefined takes it back. */
export function setSetting({ state, set }: StateAccess, path: string, value: unknown): string | null {
  const now = state();
  return set({ ...now, settings: withValue(now.settings, path, value) });
}
