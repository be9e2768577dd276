// The router's distribution over experts, the mean over some tokens, as bars.
/// <reference lib="dom" />
import { element, setText } from "../../dom.ts";

/** Bars in the page. */
export interface Probabilities {
  readonly root: HTMLElement;
  /** @param of Whose: "topic 3". */
  show(of: string, probability: readonly number[] | null): void;
}

/** More bars than that have no room for numbers on a narrow page. */
const MANY = 10;
/** And more than that on any: every eighth has its expert's number. */
const CROWD = 24;

/** Bars, one an expert. */
export function createProbabilities(): Probabilities {
  const title = element("p", { class: "about" });
  const list = element("ol", { class: "bars", start: 0 });
  return {
    root: element("div", { class: "probabilities" }, title, list),
    show(of, probability) {
      setText(
        title,
        probability
          ? `Router's probability by expert, mean over ${of}`
          : "This router has no distribution to show.",
      );
      const values = probability ?? [];
      const most = Math.max(...values);
      list.classList.toggle("many", values.length > MANY);
      list.classList.toggle("crowd", values.length > CROWD);
      while (list.childElementCount < values.length) list.append(barOf(list.childElementCount));
      while (list.childElementCount > values.length) list.lastElementChild!.remove();
      values.forEach((value, expert) => {
        const [bar, , number] = list.children[expert].children as unknown as HTMLElement[];
        bar.style.height = `${100 * value / most}%`;
        setText(number, value.toFixed(2).replace(/^0/, ""));
      });
    },
  };
}

function barOf(expert: number): HTMLLIElement {
  return element(
    "li",
    {},
    element("span", { class: "bar-of" }),
    element("span", { class: "expert" }, `${expert}`),
    element("span", { class: "number" }),
  );
}
