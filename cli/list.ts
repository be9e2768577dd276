// What `--list` prints: plugins from their registries, settings from the schema.
import { experts } from "../experts/registry.ts";
import { controlAbout } from "../models/controls.ts";
import { routers } from "../routers/registry.ts";
import { tasks } from "../tasks/registry.ts";
import { settingList } from "../training/config.ts";
import * as experiments from "../experiments/mod.ts";
import type { Words } from "./options.ts";
import { jsonSchemaOf, type OptionsSchema } from "../tensor/plugins.ts";

type Listed = { readonly name: string; readonly about: string; readonly options: OptionsSchema<unknown> };

/** What `--list` prints, as text or, with `--json`, as JSON; null without it. @throws {RangeError} for `--json` alone. */
export function listingFor({ list, json }: Words["flags"]): string | null {
  if (list) return json ? JSON.stringify(listData(), null, 2) : listText();
  if (!json) return null;
  throw new RangeError("Cannot use --json without --list: deno task compare RUN --json prints results");
}

function listText(): string {
  const lines = ["Experiments:"];
  for (const { name, about } of Object.values(experiments)) lines.push(`  ${name.padEnd(18)} ${about}`);
  const section = (title: string, path: (plugin: Listed) => string, plugins: readonly Listed[]) => {
    lines.push("", title);
    for (const plugin of plugins) {
      lines.push(`  ${plugin.name.padEnd(18)} ${plugin.about}`);
      for (const option of optionLines(plugin)) lines.push(`  ${"".padEnd(20)} ${path(plugin)}.${option}`);
    }
  };
  section("Tasks (--task):", () => "task", tasks());
  for (const { name, sizes } of tasks()) lines.push(`  sizes of ${name}: ${Object.keys(sizes).join(", ")}`);
  section("Routers (--routers):", ({ name }) => name, routers());
  section("Experts (--experts):", () => "experts", experts());
  lines.push("", "Controls (beside every comparison, unless --no-controls):");
  for (const [name, about] of Object.entries(controlAbout)) lines.push(`  ${name.padEnd(24)} ${about}`);
  lines.push("", "Settings (--set PATH=VALUE):");
  for (const { path, default: value, description, range } of settingList()) {
    // Plugins have options of their own above; seeds and controls have options of the command.
    if (!/^(model|train|placement)\./.test(path)) continue;
    lines.push(`  ${`${path}=${JSON.stringify(value)}`.padEnd(36)} ${description} (${range})`);
  }
  return lines.join("\n") + "\n";
}

type Property = { readonly default?: unknown; readonly description?: string };

function optionLines({ options }: Listed): string[] {
  const { properties = {} } = jsonSchemaOf(options);
  return Object.entries(properties).map(([name, property]) => {
    const { default: value, description } = property as Property;
    return `${name}${value === undefined ? "" : `=${JSON.stringify(value)}`}${
      description ? `  ${description}` : ""
    }`;
  });
}

/** The same for scripts: options as JSON Schema. */
function listData() {
  const described = ({ name, about, options }: Listed) => ({ name, about, options: jsonSchemaOf(options) });
  return {
    experiments: Object.values(experiments).map(({ name, about, tasks }) => ({
      name,
      about,
      tasks: tasks.map(({ label }) => label),
    })),
    tasks: tasks().map((task) => ({ ...described(task), sizes: Object.keys(task.sizes) })),
    routers: routers().map(described),
    experts: experts().map(described),
    controls: Object.entries(controlAbout).map(([name, about]) => ({ name, about })),
    settings: settingList(),
  };
}
