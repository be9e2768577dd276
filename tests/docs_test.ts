// What users can import is explained: a sentence for every name, and for every function an example that asserts something.
// `deno test --doc` runs the examples.
import { assert, assertEquals } from "@std/assert";
import configuration from "../deno.json" with { type: "json" };
import { experts } from "../experts/registry.ts";
import { routers } from "../routers/registry.ts";
import { tasks } from "../tasks/registry.ts";
import { jsonSchemaOf } from "../tensor/plugins.ts";
import { settingList } from "../training/config.ts";

const root = new URL("../", import.meta.url);

interface Declaration {
  readonly kind: string;
  readonly jsDoc?: {
    readonly doc?: string;
    readonly tags?: readonly { readonly kind: string; readonly doc?: string }[];
  };
}

/** Names a module exports, as `deno doc` sees them. Overloads are several declarations of one name. */
async function namesOf(module: URL): Promise<Map<string, readonly Declaration[]>> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", module.href],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
  };
  return new Map(
    Object.values(nodes).flatMap(({ symbols }) =>
      symbols.map(({ name, declarations }) => [name, declarations] as const)
    ),
  );
}

/** What a module's names lack. Functions that only their type is exported of need no example: they cannot be called. */
async function missing(module: URL): Promise<string[]> {
  const values = Object.keys(await import(module.href));
  const names = await namesOf(module);
  assertEquals(values.filter((name) => !names.has(name)), [], "exported, but unknown to `deno doc`");
  return [...names].flatMap(([name, declarations]) => {
    const docs = declarations.flatMap(({ jsDoc }) => jsDoc ? [jsDoc] : []);
    const examples = docs.flatMap(({ tags = [] }) => tags.filter(({ kind }) => kind === "example"));
    const isFunction = declarations.some(({ kind }) => kind === "function") && values.includes(name);
    const runs = ({ doc = "" }) => /```ts\n[^]*\bassert\w*\([^]*```/.test(doc);
    return [
      ...(docs.some(({ doc }) => doc) ? [] : [`${name}: no sentence`]),
      ...(!isFunction || examples.some(runs) ? [] : [`${name}: no example that asserts`]),
    ];
  });
}

for (const [entry, path] of Object.entries(configuration.exports)) {
  Deno.test(`every name of "${entry}" is explained`, async () => {
    assertEquals(await missing(new URL(path, root)), []);
  });
}

Deno.test("`deno doc --lint` finds nothing to say about what users can import", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...Object.values(configuration.exports)],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
});

/** Docs of an interface's fields as they stand in a file, by field; none for fields without. */
function fieldDocs(text: string, name: string): Record<string, string> {
  const body = text.match(new RegExp(`export interface ${name}\\b[^{]*\\{\\n([^]*?)\\n\\}`))?.[1] ?? "";
  const found = body.matchAll(/\/\*\*([^]*?)\*\/\s*readonly (\w+)/g);
  return Object.fromEntries(
    [...found].map(([, doc, field]) => [field, doc.replace(/\s*\n? \*\s/g, " ").trim()]),
  );
}

/** Docs say what the schema says: its first letter may be a capital, and a full stop ends it. */
function sameSentence(doc: string, description: string): boolean {
  const plain = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1).replace(/\.$/, "");
  return plain(doc.replace(/\s+/g, " ")) === plain(description);
}

Deno.test("what a type says of an option is what help and pages say of it", async () => {
  const sources = [["routers", routers()], ["experts", experts()], ["tasks", tasks()]] as const;
  let compared = 0;
  for (const [folder, plugins] of sources) {
    for (const plugin of plugins) {
      const text = await Deno.readTextFile(new URL(`${folder}/${plugin.name.replaceAll("-", "_")}.ts`, root));
      const name = text.match(/export interface (\w+Options)\b/)?.[1];
      if (!name) continue; // its options are shared with another task
      const { properties = {} } = jsonSchemaOf(plugin.options);
      for (const [field, doc] of Object.entries(fieldDocs(text, name))) {
        const { description = "" } = properties[field] as { readonly description?: string };
        assert(sameSentence(doc, description), `${plugin.name}.${field}: "${doc}" and "${description}"`);
        compared++;
      }
    }
  }
  assert(compared > 120, `${compared} options`);
});

Deno.test("what a type says of a setting is what help says of it", async () => {
  const text = await Deno.readTextFile(new URL("training/run_schema.ts", root));
  const types = { model: "ModelSettings", train: "TrainSettings", placement: "PlacementSettings" };
  for (const [section, name] of Object.entries(types)) {
    const docs = fieldDocs(text, name);
    const settings = settingList().filter(({ path }) => path.startsWith(`${section}.`));
    assertEquals(settings.length, Object.keys(docs).length);
    for (const { path, description } of settings) {
      const doc = docs[path.slice(section.length + 1)];
      assert(sameSentence(doc, description), `${path}: "${doc}" and "${description}"`);
    }
  }
});

Deno.test("a name without a sentence and a function without an example are found", async () => {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const example = (body: string) => `/**\n * Half.\n * @example\n * \`\`\`ts\n * ${body}\n * \`\`\`\n */\n`;
    await Deno.writeTextFile(
      path,
      [
        "export const bare = 1;",
        "/** A sentence. */\nexport const told = 1;",
        "/** A sentence. */\nexport function shown(): number {\n  return 1;\n}",
        `${example("half(2);")}export function half(x: number): number {\n  return x / 2;\n}`,
        `${example("assert(done() === 1);")}export function done(): number {\n  return 1;\n}`,
      ].join("\n"),
    );
    assertEquals(await missing(new URL(`file://${path}`)), [
      "bare: no sentence",
      "shown: no example that asserts",
      "half: no example that asserts",
    ]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("README's layer example in a loop holds memory flat", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", root));
  const [, example] = readme.match(/```ts\n([^]*?createMoeLayer[^]*?)```/)!;
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/example.ts`;
    const looped = example.replace('"@switchyard/moe"', `"${new URL("mod.ts", root)}"`)
      .replace(/\n\{\n/, "\nexport const used: number[] = [];\nfor (let turn = 0; turn < 20; turn++) {\n")
      .replace(
        / {2}console\.log.*\n\}\n/,
        "  await y_TD.read();\n  used.push(backend.statistics().usedBytes);\n}\n",
      );
    await Deno.writeTextFile(path, looped);
    const { used } = await import(new URL(path, "file:").href) as { readonly used: readonly number[] };
    assertEquals(used.length, 20);
    assertEquals(new Set(used).size, 1, "every turn ends with the same memory in use");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
