// What `--help` and `--list` print: options from their one declaration, settings from the schema, plugins from their
// registries.
import * as z from "zod";
import { experts } from "../experts/registry.ts";
import { controlAbout } from "../models/controls.ts";
import { routers } from "../routers/registry.ts";
import { tasks } from "../tasks/registry.ts";
import { settingList } from "../training/config.ts";
import * as experiments from "../experiments/mod.ts";
import { flagOptions, shortPaths, valueOptions } from "./words.ts";

const WIDTH = 110;

/** What `--help` prints. */
export function helpText(): string {
  const options = [
    ...Object.entries(valueOptions).map(([name, about]) => [`--${name} V`, about] as const),
    ...Object.entries(shortPaths).map(([name, { path, about }]) =>
      [
        name === "sharded" ? `--${name}` : `--${name} V`,
        `${about} (= --set ${path}=${name === "sharded" ? "true" : "V"})`,
      ] as const
    ),
    ...Object.entries(flagOptions).map(([name, about]) => [`--${name}`, about] as const),
  ];
  const width = Math.max(...options.map(([name]) => name.length)) + 2;
  const lines = options.flatMap(([name, about]) => {
    const [first, ...rest] = wrapped(about, WIDTH - width - 2);
    return [`  ${name.padEnd(width)}${first}`, ...rest.map((line) => `  ${"".padEnd(width)}${line}`)];
  });
  return [
    "Compares routers beside controls: trains one small model per task, variant and seed, and writes a report.",
    "",
    "  deno task experiments [EXPERIMENT] [options]",
    "",
    ...lines,
    "",
    "Examples",
    "  deno task experiments --routers switch,hash --seeds 5",
    "  deno task experiments --task regimes --set switch.capacityFactor=1,2 --set train.learningRate=0.003,0.01",
    "  deno task experiments --plugin ./my_router.ts --routers my-router,switch",
    "",
  ].join("\n");
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

type Listed = { readonly name: string; readonly about: string; readonly options: z.ZodType };

/** What `--list` prints. */
export function listText(): string {
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
  const { properties = {} } = z.toJSONSchema(options, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).map(([name, property]) => {
    const { default: value, description } = property as Property;
    return `${name}${value === undefined ? "" : `=${JSON.stringify(value)}`}${
      description ? `  ${description}` : ""
    }`;
  });
}
