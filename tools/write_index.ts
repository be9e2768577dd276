// Lists folders of variants (kernels, routers, experts, tasks, experiments) and writes their mod.ts and tables. A written list,
// not a folder scan while running, is what types, bundlers and browsers can follow; a test fails when one is stale.
import type { ExpertPlugin } from "../experts/expert.ts";
import type { RouterPlugin } from "../routers/router.ts";
import type { TaskPlugin } from "../tasks/task.ts";
import { isMissing, readText, writeAtomic } from "../formats/files.ts";
import { exportedNames } from "./exported_names.ts";
import { formula } from "./formula.ts";
import { type CommandLine, runTask } from "../cli/options.ts";
import { jsonSchemaOf, type OptionsSchema } from "../tensor/plugins.ts";

const WRITTEN = "Written by `deno task index`. Do not edit.";
const START = "<!-- index: written by `deno task index` -->";
const END = "<!-- index ends -->";

/** A file that exports one variant. */
interface Variant {
  readonly file: string;
  readonly name: string;
  /** Types the file exports beside it. */
  readonly types: readonly string[];
}

/** Files of a folder that export one const of a type; a folder that is not there has none. */
function variants(root: URL, folder: string, type: string): Variant[] {
  const files = entries(new URL(`${folder}/`, root)).filter((name) =>
    name.endsWith(".ts") && name !== "mod.ts"
  );
  return files.flatMap((file) => {
    const source = Deno.readTextFileSync(new URL(`${folder}/${file}`, root));
    const found = [...source.matchAll(new RegExp(`^export const (\\w+): ${type}\\b`, "gm"))];
    if (found.length === 0) return [];
    if (found.length > 1) {
      const names = found.map(([, name]) => name).join(", ");
      throw new Error(`Cannot index ${folder}/${file}: it exports ${names}, and a file holds one ${type}`);
    }
    const types = [...source.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name).sort();
    return [{ file, name: found[0][1], types }];
  });
}

function entries(folder: URL): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), (entry) => entry.name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function exportLine({ file, name, types }: Variant): string {
  return `export { ${[name, ...types.map((type) => `type ${type}`)].join(", ")} } from "./${file}";\n`;
}

/** Text of kernels/mod.ts: the const of a folder is the folder's name in camelCase. */
export async function kernelIndex(root: URL): Promise<string> {
  const folders = entries(new URL("kernels/", root)).filter((name) =>
    !name.includes(".") && name !== "parts"
  );
  const lines = folders.map((folder) => {
    const name = folder.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    const source = Deno.readTextFileSync(new URL(`kernels/${folder}/kernel.ts`, root));
    if (!new RegExp(`^export const ${name}: Kernel<`, "m").test(source)) {
      throw new Error(`Cannot index kernels/${folder}: its kernel.ts exports no Kernel named ${name}`);
    }
    return `export { ${name} } from "./${folder}/kernel.ts";\n`;
  });
  return await format(root, "ts", `// Every kernel. ${WRITTEN}\n${lines.join("")}`);
}

/** Formats as `deno fmt` does, so that what is written never differs from what is checked. */
async function format(root: URL, extension: "ts" | "md", text: string): Promise<string> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--ext", extension, "-"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout, stderr } = await process.output();
  if (!success) throw new Error(`Cannot format an index: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** What of a JSON schema the tables show. */
interface OptionSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly OptionSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: unknown;
  readonly description?: string;
}

function allowed(schema: OptionSchema): string {
  if (schema.anyOf) return schema.anyOf.map(allowed).join(" or ");
  if (schema.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.type === "boolean") return "`true`, `false`";
  if (schema.type === "null") return "`null`";
  // zod bounds every integer by the safe ones, which says nothing.
  const shown = (bound?: number) => bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  const bounds = [
    shown(schema.minimum)
      ? `from ${schema.minimum}`
      : shown(schema.exclusiveMinimum)
      ? `above ${schema.exclusiveMinimum}`
      : "",
    shown(schema.maximum)
      ? `to ${schema.maximum}`
      : shown(schema.exclusiveMaximum)
      ? `below ${schema.exclusiveMaximum}`
      : "",
  ].filter((bound) => bound !== "");
  const kind = schema.type === "integer" ? "whole number" : schema.type ?? "any";
  return [kind, ...bounds].join(" ");
}

const cell = (text: string) => text.replaceAll("|", "\\|");

function optionsTable(options: OptionsSchema<unknown>): string {
  const schema = jsonSchemaOf(options);
  const found = Object.entries((schema.properties ?? {}) as Record<string, OptionSchema>);
  if (found.length === 0) return "No options.\n";
  const rows = found.map(([name, option]) => {
    const fallback = option.default === undefined ? "" : `\`${JSON.stringify(option.default)}\``;
    return `| \`${name}\` | ${fallback} | ${cell(allowed(option))} | ${cell(option.description ?? "")} |\n`;
  });
  return `| option | default | allowed | what it is |\n|---|---|---|---|\n${rows.join("")}`;
}

function reference(identifier: string): string {
  const [, number] = identifier.match(/^arXiv:(\S+)$/) ?? [];
  if (number) return `[${identifier}](https://arxiv.org/abs/${number})`;
  return /^10\.\d+\//.test(identifier) ? `[${identifier}](https://doi.org/${identifier})` : identifier;
}

type Loaded<Plugin> = { readonly file: string; readonly plugin: Plugin };

async function load<Plugin>(root: URL, folder: string, found: readonly Variant[]): Promise<Loaded<Plugin>[]> {
  return await Promise.all(found.map(async ({ file, name }) => {
    const module = await import(new URL(`${folder}/${file}`, root).href);
    return { file, plugin: module[name] };
  }));
}

function routerTable(found: readonly Loaded<RouterPlugin<unknown>>[]): string {
  const rows = found.map(({ file, plugin: { name, paper, traits } }) =>
    `| [\`${name}\`](${file}) | ${cell(paper.title)}, ${paper.year}, ${reference(paper.identifier)} | ` +
    `${traits.causal ? "yes" : "no"} | ${traits.balancedBy} | ${traits.perToken} | ${traits.gradient} |\n`
  );
  const sections = found.map(({ plugin: { name, about, paper, readings, pitfalls, options } }) =>
    `### ${name}\n\n${about} Implements ${paper.equations}.\n\n${notes("Our reading", readings)}` +
    `${notes("Pitfalls", pitfalls)}${optionsTable(options)}\n`
  );
  return `| router | paper | causal | balanced by | experts per token | gradient |\n|---|---|---|---|---|---|\n` +
    `${rows.join("")}\n${sections.join("")}`;
}

function notes(title: string, sentences: readonly string[] = []): string {
  return sentences.length === 0 ? "" : `${title}:\n\n${sentences.map((each) => `- ${each}\n`).join("")}\n`;
}

/** Kinds of this folder, and those that the registry makes of others: each has a file of its name. */
async function loadExperts(root: URL, found: readonly Variant[]): Promise<Loaded<ExpertPlugin<unknown>>[]> {
  const { experts } = await import("../experts/registry.ts");
  const loaded = await load<ExpertPlugin<unknown>>(root, "experts", found);
  const others = experts().map((plugin) => ({ file: `${plugin.name.replaceAll("-", "_")}.ts`, plugin }))
    .filter(({ plugin }) => loaded.every((each) => each.plugin.name !== plugin.name));
  return [...loaded, ...others].sort((a, b) => a.plugin.name < b.plugin.name ? -1 : 1);
}

function expertTable(found: readonly Loaded<ExpertPlugin<unknown>>[]): string {
  const rows = found.map(({ file, plugin }) => {
    const { name, options } = plugin;
    const defaults = options.parse({});
    const { parameters, sharedParameters = () => 0, flopPerToken, activationsPerToken } = plugin;
    const counts = [parameters, sharedParameters, flopPerToken, activationsPerToken].map((count) =>
      formula((D, F) => count.call(plugin, { D, F, E: 1 }, defaults)) ?? "see its file"
    );
    return `| [\`${name}\`](${file}) | ${counts.join(" | ")} |\n`;
  });
  const sections = found.map(({ plugin: { name, about, readings, options } }) =>
    `### ${name}\n\n${about}\n\n${notes("Our reading", readings)}${optionsTable(options)}\n`
  );
  return "| experts | weights of one | weights of all together | FLOPs of a token | activations of a token |\n" +
    "|---|---|---|---|---|\n" +
    `${rows.join("")}\n${sections.join("")}`;
}

function taskTable(found: readonly Loaded<TaskPlugin<unknown>>[]): string {
  return found.map(({ file, plugin: { name, about, source, options, defaults } }) => {
    const settings = Object.entries(defaults).map(([path, value]) => `\`${path}\` ${JSON.stringify(value)}`);
    const suits = settings.length === 0 ? "" : ` Runs start from ${settings.join(", ")}.`;
    return `### [${name}](${file})\n\n${about}${suits}\n\nSource: ${source}\n\n${optionsTable(options)}\n`;
  }).join("");
}

/** A page with what lies between its marks replaced; a page without marks is refused. */
function between(page: string, path: string, written: string): string {
  const start = page.indexOf(START);
  const end = page.indexOf(END);
  if (start < 0 || end < start) {
    throw new Error(`Cannot write the table in ${path}: it has no line ${START} before ${END}`);
  }
  return `${page.slice(0, start + START.length)}\n\n${written}\n${page.slice(end)}`;
}

/** Folders of plugins, what their lists are of, and the file that describes a plugin. */
const lists = [
  { folder: "routers", type: "RouterPlugin", about: "Every router of this package", seam: "router.ts" },
  {
    folder: "experts",
    type: "ExpertPlugin",
    about: "Every kind of expert of this package",
    seam: "expert.ts",
  },
  { folder: "tasks", type: "TaskPlugin", about: "Every task of this package", seam: "task.ts" },
  { folder: "experiments", type: "Experiment", about: "Every experiment", seam: null },
] as const;

/** Refuses a plugin that is called like something else the package exports: a list of both would export neither. */
function checkNames(root: URL, all: ReadonlyMap<string, readonly Variant[]>): void {
  const known = new Map<string, string>();
  const skipped = new Set(lists.map(({ folder }) => new URL(`${folder}/mod.ts`, root).href));
  if (entries(root).includes("mod.ts")) {
    for (const name of exportedNames(new URL("mod.ts", root), skipped)) known.set(name, "mod.ts");
  }
  for (const [folder, found] of all) {
    if (folder === "experiments") continue;
    for (const { file, name, types } of found) {
      for (const each of [name, ...types]) {
        const first = known.get(each);
        if (first !== undefined) {
          throw new Error(
            `Cannot index ${folder}/${file}: it exports ${each}, and so does ${first}; rename it`,
          );
        }
        known.set(each, `${folder}/${file}`);
      }
    }
  }
}

/**
 * Text of every mod.ts that lists a folder, by path from the root. Files are read, and none is run: a list that names a
 * file which is no more does not stand in the way.
 */
export async function listFiles(root: URL): Promise<Record<string, string>> {
  const found = new Map(lists.map(({ folder, type }) => [folder, variants(root, folder, type)]));
  checkNames(root, found);
  const files: Record<string, string> = { "kernels/mod.ts": await kernelIndex(root) };
  for (const { folder, about, seam } of lists) {
    const inFolder = found.get(folder)!;
    if (inFolder.length === 0) continue;
    // Plugins are the only values: registries take every value of the module.
    const types = seam === null ? "" : `\nexport type * from "./${seam}";\n`;
    const text = [`// ${about}. ${WRITTEN}\n`, types, ...inFolder.map(exportLine)].join("");
    files[`${folder}/mod.ts`] = await format(root, "ts", text);
  }
  return files;
}

/** Text of every page with a table, by path from the root. It runs plugins and kernels, so their lists have to be right. */
export async function pageFiles(root: URL): Promise<Record<string, string>> {
  const { rooflinePage } = await import("./roofline.ts");
  const loaded = <Plugin>(folder: string, type: string) =>
    load<Plugin>(root, folder, variants(root, folder, type));
  const pages = [
    ["docs/webgpu.md", await rooflinePage()],
    ["routers/README.md", routerTable(await loaded("routers", "RouterPlugin"))],
    ["experts/README.md", expertTable(await loadExperts(root, variants(root, "experts", "ExpertPlugin")))],
    ["tasks/README.md", taskTable(await loaded("tasks", "TaskPlugin"))],
  ] as const;
  const files: Record<string, string> = {};
  for (const [path, table] of pages) {
    const page = Deno.readTextFileSync(new URL(path, root));
    files[path] = await format(root, "md", between(page, path, table));
  }
  return files;
}

async function write(root: URL, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const url = new URL(path, root);
    if (!await isMissing(url) && await readText(url) === text) continue;
    await writeAtomic(url, text);
    console.log(`wrote ${path}`);
  }
}

async function main(): Promise<void> {
  const root = new URL("../", import.meta.url);
  await write(root, await listFiles(root));
  await write(root, await pageFiles(root));
}

/** Its command line. */
export const line: CommandLine = {
  task: "index",
  about: "Writes mod.ts, the lists of plugins, and the tables of their pages.",
  options: {},
};

if (import.meta.main) await runTask(line, main);
