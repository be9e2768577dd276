// The form's groups of the router and of the one beside it: which, and its options.
/// <reference lib="dom" />
import { findRouter, routers } from "../../routers/registry.ts";
import { withValue } from "../address.ts";
import { element, setText } from "../dom.ts";
import { fieldsOf } from "../form/fields.ts";
import { createForm } from "../form/form.ts";
import { type RouterChoice, runConfigOf } from "../state.ts";
import { choice, fieldset, formSlot, type Group, type StateAccess } from "./group.ts";

/** Options that one looks for first. */
const FIRST = ["k", "capacityFactor", "balance"];
const NONE = "none";

const texts = {
  router: { heading: "Router", label: "Router" },
  beside: { heading: "Another beside it, on the same data and seed", label: "Beside it" },
} as const;

/** The group of one of the two. */
export function routerGroup(place: "router" | "beside", { state, set }: StateAccess): Group {
  const about = element("p", { class: "about" });
  const names = routers().map(({ name }) => [name, name] as const);
  const change = (router: RouterChoice | null) =>
    set(place === "router" ? { ...state(), router: router! } : { ...state(), beside: router });
  const chosen = choice(
    place,
    texts[place].label,
    place === "router" ? names : [[NONE, NONE], ...names],
    (name) => change(name === NONE ? null : { name, options: {} }),
  );
  const slot = formSlot();
  const formOf = (name: string) =>
    createForm({
      id: place,
      fields: fieldsOf(findRouter(name).options),
      first: FIRST,
      more: "More options",
      set(option, value) {
        const { options } = state()[place]!;
        return change({ name, options: withValue(options, option, value) });
      },
    });
  return {
    root: fieldset(texts[place].heading, chosen.root, about, slot.root),
    show(now) {
      const router = now[place];
      chosen.select.value = router?.name ?? NONE;
      slot.root.hidden = router === null;
      setText(about, router ? findRouter(router.name).about : "");
      if (!router) return;
      const { name, ...options } = runConfigOf(now, router).router;
      slot.fill(name, () => formOf(name)).show(options, router.options);
    },
  };
}
