// The form at the side: task, routers, settings and device, with a field for whatever their schemas declare.
/// <reference lib="dom" />
import { type AnyRouterPlugin, findRouter, routers } from "../routers/registry.ts";
import { flatten } from "../training/config.ts";
import { withValue } from "./address.ts";
import { element, setText } from "./dom.ts";
import { fieldsOf, settingFields } from "./form/fields.ts";
import { createForm, type Form } from "./form/form.ts";
import { type PageState, type RouterChoice, runConfigOf } from "./state.ts";
import { findPageTask, pageTasks } from "./tasks.ts";

/** Options that one looks for first. */
const FIRST = ["k", "capacityFactor", "balance"];

/** What the form needs of the page. */
export interface ChoicesParts {
  readonly root: HTMLElement;
  state(): PageState;
  /** Takes a new state; returns what is wrong with it, which leaves the old one. */
  set(state: PageState): string | null;
}

/** The form. */
export interface Choices {
  /** Shows the page's state. */
  show(): void;
}

/** Fills the form. */
export function createChoices(parts: ChoicesParts): Choices {
  const groups = [
    taskGroup(parts),
    routerGroup("router", parts),
    routerGroup("beside", parts),
    settingsGroup(parts),
    deviceGroup(parts),
  ];
  parts.root.replaceChildren(...groups.map(({ root }) => root));
  parts.root.addEventListener("submit", (event) => event.preventDefault());
  const show = () => {
    for (const group of groups) group.show(parts.state());
  };
  show();
  return { show };
}

interface Group {
  readonly root: HTMLElement;
  show(state: PageState): void;
}

/** A list to choose from, with its label. */
function choice(
  id: string,
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: (value: string) => void,
): { readonly root: HTMLElement; readonly select: HTMLSelectElement } {
  const select = element(
    "select",
    { id },
    ...options.map(([value, text]) => element("option", { value }, text)),
  );
  select.addEventListener("change", () => chosen(select.value));
  return {
    root: element("div", { class: "field wide" }, element("label", { for: id }, label), select),
    select,
  };
}

/** Fields of a plugin, made anew when another one is chosen. */
function formSlot(): { readonly root: HTMLElement; fill(key: string, make: () => Form): Form } {
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

function taskGroup({ state, set }: ChoicesParts): Group {
  const about = element("p", { class: "about" });
  const tasks = choice(
    "task",
    "Task",
    pageTasks.map(({ name, label }) => [name, label]),
    (task) => set({ ...state(), task, settings: {}, size: "small" }),
  );
  const sizes = choice(
    "size",
    "Size",
    [["tiny", "tiny"], ["small", "small"], ["base", "base"]],
    (size) => set({ ...state(), size }),
  );
  const slot = formSlot();
  return {
    root: element("fieldset", {}, element("legend", {}, "Task"), tasks.root, about, sizes.root, slot.root),
    show(now) {
      const { plugin, name } = findPageTask(now.task);
      tasks.select.value = name;
      sizes.select.value = now.size;
      setText(about, plugin.about);
      const form = slot.fill(name, () =>
        createForm({
          id: "task",
          fields: fieldsOf(plugin.options),
          first: [],
          more: "Options of the task",
          set: (option, value) => setSetting({ state, set }, `task.${option}`, value),
        }));
      const { name: _, ...options } = runConfigOf(now, now.router).task;
      form.show(options, ofSection(now, "task"));
    },
  };
}

function setSetting(
  { state, set }: Pick<ChoicesParts, "state" | "set">,
  path: string,
  value: unknown,
): string | null {
  const now = state();
  return set({ ...now, settings: withValue(now.settings, path, value) });
}

/** Settings of a section that the user has set, by their name in it. */
function ofSection({ settings }: PageState, section: string): Record<string, unknown> {
  const start = `${section}.`;
  return Object.fromEntries(
    Object.entries(settings).filter(([path]) => path.startsWith(start))
      .map(([path, value]) => [path.slice(start.length), value]),
  );
}

const NO_ROUTER = "none";

function routerGroup(place: "router" | "beside", { state, set }: ChoicesParts): Group {
  const about = element("p", { class: "about" });
  const names = routers().map(({ name }) => [name, name] as const);
  const none = [NO_ROUTER, "none"] as const;
  const change = (router: RouterChoice | null) =>
    set(place === "router" ? { ...state(), router: router! } : { ...state(), beside: router });
  const chosen = choice(
    place,
    place === "router" ? "Router" : "Beside it",
    place === "router" ? names : [none, ...names],
    (name) => change(name === NO_ROUTER ? null : { name, options: {} }),
  );
  const slot = formSlot();
  const formOf = (plugin: AnyRouterPlugin) =>
    createForm({
      id: place,
      fields: fieldsOf(plugin.options),
      first: FIRST,
      more: "More options",
      set(option, value) {
        const { name, options } = state()[place]!;
        return change({ name, options: withValue(options, option, value) });
      },
    });
  return {
    root: element(
      "fieldset",
      {},
      element("legend", {}, place === "router" ? "Router" : "Another beside it, on the same data and seed"),
      chosen.root,
      about,
      slot.root,
    ),
    show(now) {
      const router = now[place];
      chosen.select.value = router?.name ?? NO_ROUTER;
      slot.root.hidden = router === null;
      setText(about, router ? findRouter(router.name).about : "");
      if (!router) return;
      const { name: _, ...options } = runConfigOf(now, router).router;
      slot.fill(router.name, () => formOf(findRouter(router.name))).show(options, router.options);
    },
  };
}

const FIRST_SETTINGS = ["train.steps", "model.experts", "train.learningRate"];

function settingsGroup({ state, set }: ChoicesParts): Group {
  const fields = [
    ...(["train", "model"] as const).flatMap((section) =>
      settingFields(section).map((field) => ({ ...field, name: `${section}.${field.name}` }))
    ),
    {
      name: "seed",
      about: "of initial weights, order of examples and routing noise",
      kind: "text" as const,
      choices: [],
      range: "whole number from 0",
    },
  ];
  const form = createForm({
    id: "setting",
    fields,
    first: [...FIRST_SETTINGS, "seed"],
    more: "All settings",
    set: (path, value) => setSetting({ state, set }, path, value),
  });
  return {
    root: element("fieldset", {}, element("legend", {}, "Training and model"), form.root),
    show(now) {
      const { model, train, seed } = runConfigOf(now, now.router);
      form.show(flatten({ model, train, seed }), now.settings);
    },
  };
}

function deviceGroup({ state, set }: ChoicesParts): Group {
  const devices = choice(
    "device",
    "Compute on",
    [["cpu", "CPU (WebAssembly)"], ["webgpu", "GPU (WebGPU)"]],
    (device) => set({ ...state(), device: device === "webgpu" ? "webgpu" : "cpu" }),
  );
  return {
    root: element("fieldset", {}, element("legend", {}, "Device"), devices.root),
    show: ({ device }) => void (devices.select.value = device),
  };
}
