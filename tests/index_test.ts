// Written lists are fresh, and the scaffolds write plugins that fit them.
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import configuration from "../deno.json" with { type: "json" };
import { findRouter, parseOptions, registerRouter } from "../routers/registry.ts";
import { formula } from "../tools/formula.ts";
import { exportedNames } from "../tools/exported_names.ts";
import { expertFiles } from "../tools/new_expert.ts";
import { createPlugin, skeletonOf } from "../tools/new_plugin.ts";
import { routerFiles } from "../tools/new_router.ts";
import { listFiles, pageFiles } from "../tools/write_index.ts";

const root = new URL("../", import.meta.url);
const routers = routerFiles(2026);

Deno.test("every index is what `deno task index` writes", async () => {
  const files = { ...await listFiles(root), ...await pageFiles(root) };
  assert(Object.keys(files).length >= 5);
  for (const [path, text] of Object.entries(files)) {
    assertEquals(Deno.readTextFileSync(new URL(path, root)), text, `${path} is stale: run deno task index`);
  }
});

Deno.test("the routers' page shows names, papers, traits and options", async () => {
  const page = (await pageFiles(root))["routers/README.md"];
  assertStringIncludes(page, "[`switch`](switch.ts)");
  assertStringIncludes(page, "[arXiv:2101.03961](https://arxiv.org/abs/2101.03961)");
  assertStringIncludes(page, "### switch");
  assert(/\| `capacityFactor` +\| `1.25` +\| number above 0 to 1000 +\| factor f in training/.test(page));
});

Deno.test("a folder with a badly formed variant is refused by name", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const at = new URL(`file://${folder}/`);
    Deno.mkdirSync(`${folder}/routers`);
    Deno.mkdirSync(`${folder}/kernels/odd_one`, { recursive: true });
    const two = "export const a: RouterPlugin<A> = {};\nexport const b: RouterPlugin<B> = {};\n";
    Deno.writeTextFileSync(`${folder}/routers/two.ts`, two);
    Deno.writeTextFileSync(`${folder}/kernels/odd_one/kernel.ts`, "export const other: Kernel<P> = {};\n");
    const failed = async () => await listFiles(at).then(() => "", (error: Error) => error.message);
    assertStringIncludes(await failed(), "Cannot index routers/two.ts: it exports a, b");
    Deno.removeSync(`${folder}/routers/two.ts`);
    assertStringIncludes(
      await failed(),
      "Cannot index kernels/odd_one: its kernel.ts exports no Kernel named oddOne",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the experts' page shows costs as formulas and options", async () => {
  const page = (await pageFiles(root))["experts/README.md"];
  assert(/\| \[`swiglu`\]\(swiglu.ts\) +\| 3 D F +\| 0 +\| 6 D F +\| D \+ 3 F +\|/.test(page));
  assert(/\| `bias` +\| `false` +\| `true`, `false` +\| a bias, starting at 0 +\|/.test(page));
});

Deno.test("a function of D and F as text, where it is a polynomial of degree two", () => {
  assertEquals(formula((D, F) => 2 * D * F + F + D), "2 D F + D + F");
  assertEquals(formula((D, F) => D * D - 0.5 * F * F + 3), "D^2 - 0.5 F^2 + 3");
  assertEquals(formula(() => 0), "0");
  assertEquals(formula((D, F) => D * Math.ceil(F / 4)), null);
  assertEquals(formula((D, F) => D * Math.log2(F)), null);
  assertEquals(formula((D, F) => D ** 3 * F), null);
});

for (const files of [routers, expertFiles]) {
  Deno.test(`the file of ${files.one} is written once, formatted, free of lint and short`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const at = new URL(`file://${folder}/`);
      Deno.mkdirSync(`${folder}/${files.folder}`);
      Deno.writeTextFileSync(`${folder}/mod.ts`, "");
      const name = "my-own-2";
      const path = createPlugin(at, files, name);
      assertEquals(path, `${files.folder}/my_own_2.ts`);
      const text = Deno.readTextFileSync(`${folder}/${path}`);
      assertEquals(text, skeletonOf(files, name));
      assert(text.split("\n").length < 60);
      for (const args of [["fmt", "--check", "--config", "deno.json"], ["lint", "--config", "deno.json"]]) {
        const { success, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [...args, `${folder}/${path}`],
          cwd: root,
        }).output();
        assert(success, new TextDecoder().decode(stderr));
      }
      const again = () => createPlugin(at, files, name);
      assertThrows(again, RangeError, `Cannot make ${files.word} "${name}": ${path} is there already`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  Deno.test(`a bad name for ${files.one} is refused by value, a name that is taken gets an ending`, () => {
    for (const bad of ["Bad", "snake_case", "-a", "a-", "a--b", "2top", "../x", "ä"]) {
      assertThrows(() => createPlugin(root, files, bad), RangeError, `Cannot make ${files.word} "${bad}"`);
    }
    const { ending } = files;
    for (const taken of ["new", "package", "interface", "eval", "z"]) {
      assertStringIncludes(skeletonOf(files, taken), `export const ${taken}${ending}: `);
    }
    assertStringIncludes(skeletonOf(files, "max"), "export const max: ");
  });
}

Deno.test("a name that a new file imports gets an ending", () => {
  assertStringIncludes(skeletonOf(routers, "top-k"), "export const topKRouter: RouterPlugin<TopKOptions>");
  assertStringIncludes(skeletonOf(expertFiles, "units-in"), "export const unitsInExperts: ExpertPlugin<");
});

Deno.test("a name that the package exports already gets an ending, and a hand-written one is refused", async () => {
  const names = exportedNames(new URL("mod.ts", root));
  for (const name of ["tensor", "swiglu", "switchRouter", "Router", "kernels", "HashOptions", "cpu"]) {
    assert(names.has(name), `${name} was not found among what mod.ts exports`);
  }
  assert(!names.has("expertFiles"), "a name of tools/");
  assertStringIncludes(skeletonOf(routers, "tensor", names), "export const tensorRouter: ");
  const swiglu = skeletonOf(routers, "swiglu", names);
  assertStringIncludes(swiglu, "export const swigluRouter: RouterPlugin<SwigluRouterOptions>");

  const folder = await Deno.makeTempDir();
  try {
    Deno.mkdirSync(`${folder}/routers`);
    Deno.writeTextFileSync(`${folder}/mod.ts`, 'export * from "./tensor.ts";\n');
    Deno.writeTextFileSync(`${folder}/tensor.ts`, "export function tensor() {}\n");
    Deno.writeTextFileSync(`${folder}/routers/mine.ts`, "export const tensor: RouterPlugin<A> = {};\n");
    await assertRejects(
      () => listFiles(new URL(`file://${folder}/`)),
      Error,
      "Cannot index routers/mine.ts: it exports tensor, and so does mod.ts; rename it",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an index that names a file which is no more mends itself", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { stdout } = await new Deno.Command("git", {
      args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
      cwd: root,
    }).output();
    for (const path of new TextDecoder().decode(stdout).split("\0")) {
      if (path === "" || /^(tests|bench)\//.test(path)) continue;
      await Deno.mkdir(`${folder}/${path.slice(0, path.lastIndexOf("/") + 1)}`, { recursive: true });
      await Deno.copyFile(new URL(path, root), `${folder}/${path}`).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
    const before = await Deno.readTextFile(`${folder}/routers/mod.ts`);
    for (const list of ["routers", "experts", "tasks", "experiments"]) {
      const path = `${folder}/${list}/mod.ts`;
      await Deno.writeTextFile(path, await Deno.readTextFile(path) + 'export { gone } from "./gone.ts";\n');
    }
    const kernels = `${folder}/kernels/mod.ts`;
    await Deno.writeTextFile(
      kernels,
      await Deno.readTextFile(kernels) + 'export { gone } from "./gone/kernel.ts";\n',
    );
    const [, ...words] = configuration.tasks.index.command.split(" ");
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args: words, cwd: folder })
      .output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(await Deno.readTextFile(`${folder}/routers/mod.ts`), before);
    for (const list of ["kernels", "experts", "tasks", "experiments"]) {
      const text = await Deno.readTextFile(`${folder}/${list}/mod.ts`);
      assertEquals(text, await Deno.readTextFile(new URL(`${list}/mod.ts`, root)));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a new router's file is a router", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // In its place it would import its neighbours; here they are given in full.
    const placed = skeletonOf(routers, "my-own-2").replaceAll('"../', `"${root}`)
      .replaceAll('"./', `"${root}routers/`);
    Deno.writeTextFileSync(`${folder}/placed.ts`, placed);
    const { myOwn2: plugin } = await import(`file://${folder}/placed.ts`);
    registerRouter(plugin);
    assertEquals(findRouter("my-own-2"), plugin);
    assertEquals(parseOptions(plugin), { initScale: 0.1 });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
