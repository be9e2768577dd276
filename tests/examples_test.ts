// The programs in examples/, run by the command that each gives, with no more permissions than it names.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseHTML } from "linkedom";
import { pathToFileURL } from "node:url";

const root = new URL("../", import.meta.url);
const folder = new URL("examples/", root);
const results = await Deno.makeTempDir({ prefix: "switchyard examples" });
addEventListener("unload", () => Deno.removeSync(results, { recursive: true }));

/** Runs Deno at the root and expects it to end well. */
async function deno(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Runs an example by the command at its head; files that it names lie in a folder of the test's own. */
async function run(name: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(name, folder));
  const [, command] = text.match(/Run it: deno (run .*)/)!;
  assert(command.includes(`examples/${name}`), command);
  const words = command.split(" ").map((word) => word === "model.safetensors" ? `${results}/${word}` : word);
  return await deno(["run", "--no-prompt", ...words.slice(1)]);
}

/** Numbers that follow a text, each time it is there. */
function numbersAfter(output: string, text: string): number[] {
  return [...output.matchAll(new RegExp(`${text} ([\\d.e-]+)`, "g"))].map(([, number]) => Number(number));
}

const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("every example is run here, and imports what a user would", async () => {
  const known = ["inference.ts", "own_expert.ts", "own_loop.ts", "regression.ts", "train_and_save.ts"];
  const routers = ["dselect_k.ts", "relu_routing.ts"]; // run by tests/own_routers_test.ts
  assertEquals(files, ["README.md", "browser", ...[...known, ...routers].sort()]);
  for (const name of [...known, ...routers, "browser/main.ts"]) {
    const text = await Deno.readTextFile(new URL(name, folder));
    const wrong = [...text.matchAll(/from "([^"]+)"/g)].map(([, from]) => from)
      .filter((from) => !/^(@switchyard\/moe(\/\w+)?|zod|node:[\w/]+)$/.test(from));
    assertEquals(wrong, [], name);
    assert(text.split("\n").length < (routers.includes(name) ? 150 : 85), `${name} is short`);
    const page = await Deno.readTextFile(new URL("README.md", folder));
    assert(page.includes(name.replace(/main.ts$/, "")), `README.md lists ${name}`);
  }
});

Deno.test("a run is trained and saved, and its weights answer", async () => {
  const trained = await run("train_and_save.ts");
  const [, first, last] = trained.match(/loss ([\d.]+) to ([\d.]+) nats/)!.map(Number);
  assert(first > Math.log(64) && last < 0.2, trained);
  assertMatch(trained, /6 arrays in .*model\.safetensors/);
  const asked = await run("inference.ts");
  const [, right] = asked.match(/(\d+) of 256 facts recalled/)!.map(Number);
  assert(right > 240, asked);
  const loads = asked.match(/by expert: (.*)/)![1].split(", ").map(Number);
  assertEquals(loads.length, 8);
  assert(loads.every((load) => load > 0), asked);
});

Deno.test("a loop of one's own learns, and its router balances", async () => {
  const output = await run("own_loop.ts");
  const losses = numbersAfter(output, "loss");
  assertEquals(losses.length, 5);
  assert(losses[0] > 1 && losses[4] < 0.1, output);
  const balance = numbersAfter(output, "balance");
  assert(balance[3] < balance[0] && balance[3] < 0.055, output); // evenly used it is 0.05
});

Deno.test("two linear experts learn what no line can", async () => {
  const errors = numbersAfter(await run("regression.ts"), "mean squared error");
  assertEquals(errors.length, 4);
  // The best line for |x| on [-1, 1] is 1/2, with an error of 1/12.
  assert(errors[3] < 0.01 / 12, String(errors));
});

Deno.test("experts of one's own train beside built-in ones", async () => {
  const output = await run("own_expert.ts");
  const [own, builtIn] = [...numbersAfter(output, "maxout: loss"), ...numbersAfter(output, "forward: loss")];
  assert(own < 1 && builtIn < 2, output); // chance is log 64 = 4.16
});

Deno.test("the page's program is one file for browsers, which trains", async () => {
  const bundle = `${results}/main.js`;
  await deno(["bundle", "--quiet", "--platform", "browser", "-o", bundle, "examples/browser/main.ts"]);
  const code = await Deno.readTextFile(bundle);
  assert(!/^(import|export) /m.test(code), "everything is inside");
  const html = await Deno.readTextFile(new URL("browser/index.html", folder));
  assert(html.includes('<script type="module" src="main.js">'));
  const { document } = parseHTML(html) as unknown as {
    document: { getElementById(id: string): { textContent: string } | null };
  };
  // A page without an adapter: it takes WebAssembly.
  Object.defineProperty(navigator, "gpu", { value: undefined });
  Object.assign(globalThis, { document });
  await import(pathToFileURL(bundle).href);
  const shown = (id: string) => document.getElementById(id)!.textContent;
  assertEquals(shown("state"), "trained");
  assertMatch(shown("backend"), /^cpu: /);
  const [error] = numbersAfter(shown("loss"), "mean squared error");
  assert(error < 0.01 / 12, shown("loss"));
});
