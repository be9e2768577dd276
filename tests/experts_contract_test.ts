// Every kind of experts there is against the contract, with its defaults and with options that change what it does; so is
// the file that `new:expert` writes, and the one that docs/write_an_expert.md shows. And the list itself.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { pathToFileURL } from "node:url";
import { feedForward } from "../experts/feed_forward.ts";
import { type AnyExpertPlugin, experts, findExperts, registerExperts } from "../experts/registry.ts";
import { expertFiles } from "../tools/new_expert.ts";
import { skeletonOf } from "../tools/new_plugin.ts";
import { expertContract } from "./expert_contract.ts";
import { expertVariants } from "./expert_variants.ts";

const root = new URL("../", import.meta.url);

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

for (const plugin of experts()) {
  const [first, ...others] = expertVariants[plugin.name] ?? [{ options: {} }];
  expertContract(plugin, [first]);
  expertContract(plugin, others, ["cpu"]);
}

const [, shown] = Deno.readTextFileSync(new URL("docs/write_an_expert.md", root)).match(/```ts\n([^]*?)```/)!;
// In its folder a skeleton imports its neighbours; here they are given in full.
const written = skeletonOf(expertFiles, "my-own").replaceAll('"../', `"${root}`)
  .replaceAll('"./', `"${root}experts/`);
const files = Object.entries({ bilinear: shown, myOwn: written }).map(([name, text]) => {
  const path = `${folder}/${name}.ts`;
  Deno.writeTextFileSync(path, text);
  return { name, path };
});
for (const { name, path } of files) expertContract((await import(pathToFileURL(path).href))[name]);

Deno.test("what is written to be changed has sound types", async () => {
  const args = ["check", "--config", "deno.json", ...files.map(({ path }) => path)];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root }).output();
  assert(success, new TextDecoder().decode(stderr));
});

Deno.test("every kind with variants is there", () => {
  const names = experts().map(({ name }) => name);
  assertEquals(Object.keys(expertVariants).filter((name) => !names.includes(name)), []);
});

Deno.test("a kind of experts is found by its name, taken once, and must be whole", () => {
  const mine = { ...feedForward, name: "mine" };
  registerExperts(mine);
  assertEquals(findExperts("mine"), mine);
  assert(experts().includes(mine));
  const refuse = (plugin: unknown, kind: typeof TypeError | typeof RangeError, message: string) =>
    assertThrows(() => registerExperts(plugin as AnyExpertPlugin), kind, message);
  registerExperts(mine); // once more is no mistake
  refuse({ ...mine }, RangeError, 'Cannot register experts "mine": the name is taken');
  refuse({ ...mine, name: "My" }, RangeError, "a name is kebab-case");
  refuse({ name: "half" }, TypeError, "Cannot register a kind of experts: it has no about, no options");
  refuse({ ...mine, name: "other", options: {} }, TypeError, "its options are no schema of zod 4");
  assertThrows(
    () => findExperts("swigloo"),
    RangeError,
    'there are "bilinear", "constant", "copy", "feed-forward", "linear", "low-rank", "mine", "mixed", "nested", "onnx", "swiglu", "zero"',
  );
});
