// Fields of a form, read from the JSON schema of options: whatever a plugin declares has its field, without another list.
import * as z from "zod";
import { jsonSchemaOf, type OptionsSchema } from "../../tensor/plugins.ts";
import { type JsonSchema, rangeOf } from "../../training/config.ts";
import { runSchema } from "../../training/run_schema.ts";

/** One option. */
export interface Field {
  readonly name: string;
  readonly about: string;
  readonly kind: "text" | "choice" | "flag";
  /** Of a choice. */
  readonly choices: readonly string[];
  /** What it may be: "number from 0 to 1". */
  readonly range: string;
}

/** Fields of a plugin's options. */
export function fieldsOf(options: OptionsSchema<unknown>): Field[] {
  return fieldsOfSchema(jsonSchemaOf(options) as JsonSchema);
}

/** Fields of a section of a run's settings, or of those outside sections. */
export function settingFields(section: "model" | "train" | null): Field[] {
  const schema = z.toJSONSchema(runSchema, { io: "input" }) as JsonSchema;
  return fieldsOfSchema(section === null ? schema : schema.properties![section]);
}

/** Fields of a JSON schema's properties, in its order. */
export function fieldsOfSchema({ properties = {} }: JsonSchema): Field[] {
  return Object.entries(properties).map(([name, option]) => fieldOf(name, option));
}

function fieldOf(name: string, option: JsonSchema): Field {
  const { description = "", type, enum: values, anyOf } = option;
  const choices = !anyOf && values?.every((value) => typeof value === "string") ? values.map(String) : [];
  return {
    name,
    about: String(description),
    kind: choices.length > 0 ? "choice" : type === "boolean" ? "flag" : "text",
    choices,
    range: rangeOf(option),
  };
}
