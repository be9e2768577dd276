// The guided tour: a list of links, each to a state of the page, and what the step that was opened last says.
/// <reference lib="dom" />
import { byId, element, setText } from "../dom.ts";
import { type TourStep, tourSteps } from "./steps.ts";

/** The tour. */
export interface Tour {
  /** Tells the step of an address that was opened; one that is no step's leaves the tour where it is. */
  show(address: string): void;
}

/** Makes the tour work. @param skeleton Program of a router to begin with. */
export function createTour(skeleton: string): Tour {
  const steps = tourSteps(skeleton);
  const details = byId<HTMLDetailsElement>("tour");
  const links = steps.map(({ title, address }) => element("a", { href: `#${address}` }, title));
  byId("tour-steps").replaceChildren(...links.map((link) => element("li", {}, link)));
  const next = byId<HTMLAnchorElement>("tour-next");
  return {
    show(address) {
      const at = steps.findIndex((step) => isSame(step.address, address));
      if (at < 0) return;
      details.open = true;
      links.forEach((link, each) => {
        if (each === at) link.setAttribute("aria-current", "step");
        else link.removeAttribute("aria-current");
      });
      tell(steps[at], at);
      const [following = steps[0]] = steps.slice(at + 1);
      next.parentElement!.hidden = false;
      next.href = `#${following.address}`;
      setText(next, `${following === steps[0] ? "From the start" : "Next"}: ${following.title}`);
    },
  };
}

function tell({ title, text }: TourStep, at: number): void {
  byId("tour-text").replaceChildren(
    element("h2", {}, `${at + 1}. ${title}`),
    ...text.map((paragraph) => element("p", {}, paragraph)),
  );
}

/** Whether two addresses say the same, in whatever order. */
function isSame(one: string, other: string): boolean {
  const sorted = (address: string) => {
    const words = new URLSearchParams(address);
    words.sort();
    return words.toString();
  };
  return sorted(one) === sorted(other);
}
