// The form's group of the task: which one, in which size, and its options.
/// <reference lib="dom" />
import { element, setText } from "../dom.ts";
import { type Field, fieldsOf } from "../form/fields.ts";
import { createForm } from "../form/form.ts";
import { type PageState, runConfigOf } from "../state.ts";
import { findPageTask, type PageTask, pageTasks } from "../tasks.ts";
import { choice, fieldset, formSlot, type Group, setSetting, type StateAccess } from "./group.ts";

const SIZES = Object.keys(pageTasks[0].plugin.sizes).map((size) => [size, size] as const);

/** The group. */
export function taskGroup(access: StateAccess): Group {
  const { state, set } = access;
  const about = element("p", { class: "about" });
  const names = pageTasks.map(({ name, label }) => [name, label] as const);
  const tasks = choice(
    "task",
    "Task",
    names,
    (task) => set({ ...state(), task, settings: {}, sentence: null }),
  );
  const sizes = choice("size", "Size", SIZES, (size) => set({ ...state(), size }), false);
  const slot = formSlot();
  return {
    root: fieldset("Task", tasks.root, about, sizes.root, slot.root),
    show(now) {
      const task = findPageTask(now.task);
      tasks.select.value = task.name;
      sizes.select.value = now.size;
      setText(about, task.plugin.about);
      const form = slot.fill(task.name, () =>
        createForm({
          id: "task",
          fields: fieldsOf(task.plugin.options).map((field) => limited(field, task)),
          first: task.first ?? [],
          more: "Options of the task",
          set: (option, value) => setSetting(access, `task.${option}`, value),
        }));
      const { name: _, ...options } = runConfigOf(now, now.router).task;
      form.show(options, ownOptions(now));
    },
  };
}

/** A field with those values alone that the page has. */
function limited(field: Field, { choices = {} }: PageTask): Field {
  const some = choices[field.name];
  return some ? { ...field, kind: "choice", choices: some, range: "" } : field;
}

/** Options that the user has set. */
function ownOptions({ settings }: PageState): Record<string, unknown> {
  const own = Object.entries(settings).filter(([path]) => path.startsWith("task."));
  return Object.fromEntries(own.map(([path, value]) => [path.slice("task.".length), value]));
}
