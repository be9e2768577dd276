// The package as a stranger gets it: published to a registry, imported from there into a project of its own, and run
// without any permission. Neither the stand-ins of this checkout nor its import map can help.
import { assert, assertEquals } from "@std/assert";
import { pathToFileURL } from "node:url";
import config from "../deno.json" with { type: "json" };
import { startLocalJsr } from "./local_jsr.ts";

const root = new URL("../", import.meta.url);

const main =
  `import { cpu, createInit, createMoeLayer, gradients, parseOptions, random, routers } from "@switchyard/moe";
import { equalSequences, memory, square, sumAll, tensor } from "@switchyard/moe";
import { gshard } from "@switchyard/moe/routers";
import { swiglu } from "@switchyard/moe/experts";
import { configOf, parsePlainText, prepare, textData, train } from "@switchyard/moe/training";
import { sizes } from "@switchyard/moe";

const [T, D, F, E] = [64, 16, 32, 4];
async function norms(threads: number): Promise<number[]> {
  const backend = await cpu({ threads });
  if (backend.threads !== threads) throw new Error("no threads");
  const init = createInit(backend, random(0));
  const layer = createMoeLayer({
    D,
    E,
    router: gshard.create({ D, E, V: 100 }, parseOptions(gshard), init.part("router")),
    experts: swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts")),
  });
  using _scope = memory(backend);
  const { y_TD } = await layer.apply(tensor(backend, random(1).normal(T * D), [T, D]), {
    training: true,
    step: 0,
    random: random(2),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
  });
  const params = Object.values(layer.params);
  const found = await gradients(sumAll(square(y_TD)), params);
  const sums = await Promise.all(found.map(async (each) => (await sumAll(square(each!)).read())[0]));
  backend.close();
  return sums;
}
const [one, two] = [await norms(1), await norms(2)];

const backend = await cpu({ threads: 2 });
const dataset = prepare(parsePlainText("A dog ran. A cat sat. ".repeat(200), "pets"), { vocabulary: 50 });
const settings = { "model.equalCost": true, "router.name": "gshard", "train.steps": 3 };
using run = await train(configOf(sizes.tiny, settings), { backend, data: await textData(dataset) });
const losses = run.record.steps.map(({ loss }) => loss);
console.log(JSON.stringify({ one, two, losses, routers: routers().map(({ name }) => name) }));
`;

/** Runs Deno; the folder of its downloads has npm packages in it, and no module of this checkout. */
async function deno(cwd: string | URL, env: Record<string, string>, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the published package runs in a project of its own without permissions", async () => {
  await using registry = startLocalJsr();
  const project = await Deno.makeTempDir();
  try {
    const JSR_URL = registry.url;
    await deno(root, { JSR_URL }, "publish", "--allow-dirty", "--no-provenance", "--token", "none");
    const published = [...registry.files.keys()];
    assert(
      published.includes("/mod.ts") && published.includes("/README.md") && published.includes("/LICENSE"),
    );
    const left = config.publish.exclude.map((folder) => `/${folder}/`);
    assertEquals(published.filter((path) => left.some((folder) => path.startsWith(folder))), []);
    assertEquals(published.filter((path) => path.endsWith(".as.ts")), [], "sources of WebAssembly");

    // Modules come from the registry alone; npm packages from where they were downloaded to before.
    const { npmCache } = JSON.parse(await deno(root, {}, "info", "--json"));
    await Deno.mkdir(`${project}/downloads`);
    await Deno.symlink(npmCache, `${project}/downloads/npm`);
    const env = { JSR_URL, DENO_DIR: `${project}/downloads` };
    const name = `jsr:${config.name}@^${config.version}`;
    await Deno.writeTextFile(`${project}/deno.json`, JSON.stringify({ imports: { [config.name]: name } }));
    await Deno.writeTextFile(`${project}/main.ts`, main);
    await deno(project, env, "check", "main.ts");
    const out = await deno(project, env, "run", "--no-prompt", "main.ts");

    const { one, two, losses, routers } = JSON.parse(out);
    assertEquals(one.length, 4);
    assert(one.every((sum: number) => sum > 0), `gradients of ${one}`);
    assertEquals(two, one);
    assert(losses.length === 3 && losses[2] < losses[0], `losses of ${losses}`);
    for (const built of ["gshard", "hash", "switch"]) assert(routers.includes(built));

    const { modules } = JSON.parse(await deno(project, env, "info", "--json", "main.ts"));
    const elsewhere = (modules as { specifier: string }[]).map(({ specifier }) => specifier)
      .filter((specifier) => !specifier.startsWith(`${JSR_URL}${config.name}/`));
    const npm = elsewhere.filter((specifier) => specifier.startsWith("npm:/"));
    assert(npm.some((specifier) => specifier.startsWith("npm:/zod@4.")), npm.join(" "));
    // What is only needed when it is asked for is none of what a program has to fetch, not even for its types.
    assert(!npm.some((specifier) => /huggingface|hyparquet/.test(specifier)), npm.join(" "));
    assertEquals(elsewhere.filter((specifier) => !npm.includes(specifier)), [
      pathToFileURL(`${await Deno.realPath(project)}/main.ts`).href,
    ]);
  } finally {
    await Deno.remove(project, { recursive: true });
  }
});
