// One field of a form: its control, what it is, and what is wrong with it.
/// <reference lib="dom" />
import { valueOf } from "../address.ts";
import { element, setText } from "../dom.ts";
import type { Field } from "./fields.ts";

/** A field in the page. */
export interface FieldElement {
  readonly root: HTMLElement;
  /** Shows a value, and whether it is the user's own. */
  show(value: unknown, isOwn: boolean): void;
}

/**
 * A field's element.
 * @param id Unique in the page.
 * @param set Takes a value, undefined for the default; returns what is wrong with it.
 */
export function fieldElement(
  { name, about, kind, choices, range }: Field,
  id: string,
  set: (value: unknown) => string | null,
): FieldElement {
  const problem = element("p", { class: "problem", id: `${id}-problem` });
  const help = element(
    "p",
    { class: "about", id: `${id}-about` },
    [about, range].filter((text) => text).join("; "),
  );
  const attributes = { id, "aria-describedby": `${help.id} ${problem.id}` };
  const control = kind === "choice"
    ? element("select", attributes, ...choices.map((choice) => element("option", { value: choice }, choice)))
    : kind === "flag"
    ? element("input", { ...attributes, type: "checkbox" })
    : element("input", { ...attributes, type: "text", spellcheck: "false", autocomplete: "off" });
  const given = () => {
    if (control instanceof HTMLInputElement && control.type === "checkbox") return control.checked;
    if (kind === "choice") return control.value;
    return control.value.trim() === "" ? undefined : valueOf(control.value.trim());
  };
  const tell = (what: string | null) => {
    setText(problem, what ?? "");
    if (what === null) control.removeAttribute("aria-invalid");
    else control.setAttribute("aria-invalid", "true");
  };
  control.addEventListener("change", () => tell(set(given())));
  const root = element(
    "div",
    { class: `field ${kind}` },
    element("label", { for: id }, name),
    control,
    help,
    problem,
  );
  return {
    root,
    show(value, isOwn) {
      root.classList.toggle("own", isOwn);
      if (control instanceof HTMLInputElement && control.type === "checkbox") {
        control.checked = value === true;
      } else control.value = typeof value === "string" ? value : JSON.stringify(value ?? null);
      tell(null);
    },
  };
}
