// Written lists are fresh, and the scaffold writes a router that fits them.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { findRouter, parseOptions, registerRouter } from "../routers/registry.ts";
import { createRouter, routerSkeleton } from "../tools/new_router.ts";
import { indexFiles } from "../tools/write_index.ts";

const root = new URL("../", import.meta.url);

Deno.test("every index is what `deno task index` writes", async () => {
  const files = await indexFiles(root);
  assert(Object.keys(files).length >= 5);
  for (const [path, text] of Object.entries(files)) {
    assertEquals(Deno.readTextFileSync(new URL(path, root)), text, `${path} is stale: run deno task index`);
  }
});

Deno.test("the routers' page shows names, papers, traits and options", async () => {
  const page = (await indexFiles(root))["routers/README.md"];
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
    const failed = async () => await indexFiles(at).then(() => "", (error: Error) => error.message);
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

Deno.test("a new router's file is a router, formatted and free of lint", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const at = new URL(`file://${folder}/`);
    Deno.mkdirSync(`${folder}/routers`);
    const path = createRouter(at, "my-own-2", 2026);
    assertEquals(path, "routers/my_own_2.ts");
    const text = Deno.readTextFileSync(`${folder}/${path}`);
    assertEquals(text, routerSkeleton("my-own-2", 2026));
    assert(text.split("\n").length < 60);
    for (const args of [["fmt", "--check", "--config", "deno.json"], ["lint", "--config", "deno.json"]]) {
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, `${folder}/${path}`],
        cwd: root,
      }).output();
      assert(success, new TextDecoder().decode(stderr));
    }
    // In its place it would import its neighbours; here they are given in full.
    const placed = text.replaceAll('"../', `"${root}`).replaceAll('"./', `"${root}routers/`);
    Deno.writeTextFileSync(`${folder}/placed.ts`, placed);
    const { myOwn2: plugin } = await import(`file://${folder}/placed.ts`);
    registerRouter(plugin);
    assertEquals(findRouter("my-own-2"), plugin);
    assertEquals(parseOptions(plugin), { initScale: 0.1 });
    assertThrows(
      () => createRouter(at, "my-own-2", 2026),
      RangeError,
      "routers/my_own_2.ts is there already",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a bad name for a router is refused by value, a reserved word gets an ending", () => {
  for (const name of ["Bad", "snake_case", "-a", "a-", "a--b", "2top", "../x", "ä"]) {
    assertThrows(() => createRouter(root, name, 2026), RangeError, `Cannot make router "${name}"`);
  }
  assertStringIncludes(routerSkeleton("new", 2026), "export const newRouter: RouterPlugin<NewOptions>");
});
