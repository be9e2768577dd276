// The form's groups of training, model and device.
/// <reference lib="dom" />
import { flatten } from "../../training/config.ts";
import { type Field, settingFields } from "../form/fields.ts";
import { createForm } from "../form/form.ts";
import { runConfigOf } from "../state.ts";
import { choice, fieldset, type Group, setSetting, type StateAccess } from "./group.ts";

const FIRST = ["train.steps", "model.experts", "train.learningRate", "seed"];

/** The group of a run's settings. */
export function settingsGroup(access: StateAccess): Group {
  const form = createForm({
    id: "setting",
    fields: allFields(),
    first: FIRST,
    more: "All settings",
    set: (path, value) => setSetting(access, path, value),
  });
  return {
    root: fieldset("Training and model", form.root),
    show(now) {
      const { model, train, seed } = runConfigOf(now, now.router);
      form.show(flatten({ model, train, seed }), now.settings);
    },
  };
}

/** Fields by path. */
function allFields(): Field[] {
  const ofSection = (section: "train" | "model") =>
    settingFields(section).map((field) => ({ ...field, name: `${section}.${field.name}` }));
  const [seed] = settingFields(null).filter(({ name }) => name === "seed");
  return [...ofSection("train"), ...ofSection("model"), seed];
}

/** The group of the device. */
export function deviceGroup({ state, set }: StateAccess): Group {
  const devices = choice(
    "device",
    "Compute on",
    [["cpu", "CPU (WebAssembly)"], ["webgpu", "GPU (WebGPU)"]],
    (device) => set({ ...state(), device: device === "webgpu" ? "webgpu" : "cpu" }),
  );
  return {
    root: fieldset("Device", devices.root),
    show: ({ device }) => void (devices.select.value = device),
  };
}
