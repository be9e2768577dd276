// The form's groups of the router and of the one beside it: which, and its options.
/// <reference lib="dom" />
import { findRouter, routers } from "../../routers/registry.ts";
import { withValue } from "../address.ts";
import { element, setText } from "../dom.ts";
import { type Field, fieldsOf } from "../form/fields.ts";
import { createForm } from "../form/form.ts";
import type { OwnRouter } from "../own/own_router.ts";
import { isOwn, optionsOf, type RouterChoice } from "../state.ts";
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
  const change = (router: RouterChoice | null) =>
    set(place === "router" ? { ...state(), router: router! } : { ...state(), beside: router });
  const chosen = choice(
    place,
    texts[place].label,
    [],
    (name) => change(name === NONE ? null : { name, options: {} }),
  );
  const slot = formSlot();
  const formOf = (fields: readonly Field[]) =>
    createForm({
      id: place,
      fields,
      first: FIRST,
      more: "More options",
      set(option, value) {
        const { name, options } = state()[place]!;
        return change({ name, options: withValue(options, option, value) });
      },
    });
  return {
    root: fieldset(texts[place].heading, chosen.root, about, slot.root),
    show(now) {
      const router = now[place];
      const options = optionsFor(place, now.own);
      if (chosen.select.childElementCount !== options.length) chosen.select.replaceChildren(...options);
      chosen.select.value = router?.name ?? NONE;
      slot.root.hidden = router === null;
      const own = router && isOwn(now, router) ? now.own : null;
      setText(about, router ? (own ?? findRouter(router.name)).about : "");
      if (!router) return;
      slot.fill(
        `${router.name} ${own?.source ?? ""}`,
        () => formOf(own ? own.fields : fieldsOf(findRouter(router.name).options)),
      )
        .show(optionsOf(now, router), router.options);
    },
  };
}

/** Routers to choose from: the user's first, where there is one. */
function optionsFor(place: "router" | "beside", own: OwnRouter | null): HTMLOptionElement[] {
  const option = (value: string, text = value) => element("option", { value }, text);
  return [
    ...(place === "beside" ? [option(NONE)] : []),
    ...(own ? [option(own.name, `${own.name} (yours)`)] : []),
    ...routers().map(({ name }) => option(name)),
  ];
}
