// The form at the side: task, routers, settings and device, with a field for whatever their schemas declare.
/// <reference lib="dom" />
import type { StateAccess } from "./group.ts";
import { routerGroup } from "./router.ts";
import { deviceGroup, settingsGroup } from "./settings.ts";
import { taskGroup } from "./task.ts";

/** The form. */
export interface Choices {
  /** Shows the page's state. */
  show(): void;
}

/** Fills the form. */
export function createChoices(root: HTMLElement, access: StateAccess): Choices {
  const groups = [
    taskGroup(access),
    routerGroup("router", access),
    routerGroup("beside", access),
    settingsGroup(access),
    deviceGroup(access),
  ];
  root.replaceChildren(...groups.map((group) => group.root));
  root.addEventListener("submit", (event) => event.preventDefault());
  const show = () => {
    for (const group of groups) group.show(access.state());
  };
  show();
  return { show };
}
