// The rules of the house that a machine can hold: who imports whom, who may name Deno, how files open, how long they get,
// and that written files are fresh.
import { assert, assertEquals } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { modules, programs } from "../cpu/wasm.ts";
import { experts } from "../experts/registry.ts";
import { sizes } from "../models/sizes.ts";
import { routers } from "../routers/registry.ts";
import { tasks } from "../tasks/registry.ts";
import { compile, limitsPlace, programNames, variants } from "../tools/build_wasm.ts";

const root = new URL("../", import.meta.url);

const { stdout } = await new Deno.Command("git", {
  args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  cwd: root,
}).output();
/** Every file of the repository that is there, by path from the root, with its text. */
const texts = new Map(
  new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "").flatMap((path) => {
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync(new URL(path, root)));
      return [[path, text] as const];
    } catch {
      // Taken away but not yet from git, or not text.
      return [];
    }
  }),
);
const sources = [...texts].filter(([path]) => path.endsWith(".ts"));
const folderOf = (path: string) => path.includes("/") ? path.slice(0, path.indexOf("/")) : "";

/** A file's code without its comments, so that what documentation shows counts for nothing. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(?<!:)\/\/.*$/gm, "");
}

/** Paths from the root of the repository's own files that a file imports. */
function imports(path: string, text: string): string[] {
  const found = code(text).matchAll(/\b(?:from|import)\s*\(?\s*["`](\.[^"`$]+)["`]/g);
  return [...found].map(([, specifier]) => {
    const url = new URL(specifier, new URL(path, root)).href;
    assert(url.startsWith(root.href), `${path} imports ${specifier}, outside the repository`);
    return url.slice(root.href.length);
  });
}

/** Folders each folder may import besides itself; a file's path allows that file alone. */
const below: Record<string, readonly string[]> = { kernels: [] };
below.formats = below.gpu = ["kernels"];
below.cpu = ["kernels", "formats"];
below.tensor = ["kernels", "cpu", "gpu"];
below.data = ["formats", "tensor", ...below.tensor];
below.routers = below.cluster = ["tensor", ...below.tensor];
below.experts = ["formats", "tensor", ...below.tensor];
below.moe = ["routers", "experts", "cluster/exchange.ts", ...below.routers];
below.models = ["formats", "moe", ...below.moe];
below.tasks = ["data", "models", ...below.data, ...below.models];
below.training = ["models", "tasks", ...below.tasks, ...below.models];
below.report = ["training/record.ts", "cluster/timeline.ts"];
below.experiments = ["training", "report", "cluster", ...below.training];
// The package's front door is what a router typed into the page may import.
below.playground = ["mod.ts", ...below.experiments];
below.cli = ["deno.json", "experiments", ...below.experiments];
below[""] = Object.keys(below);
const above = new Set(["bench", "examples", "tests", "tools"]);

Deno.test("dependencies point one way", () => {
  const wrong: string[] = [];
  for (const [path, text] of sources) {
    const folder = folderOf(path);
    if (above.has(folder)) continue;
    const allowed = below[folder];
    assert(allowed, `${path}: say in tests/house_test.ts what the folder ${folder} may import`);
    for (const target of imports(path, text)) {
      const fine = folderOf(target) === folder || allowed.includes(folderOf(target)) ||
        allowed.includes(target);
      if (!fine) wrong.push(`${path} imports ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("no file imports the package it is a part of, which would be an import upwards", () => {
  const wrong = sources.filter(([path, text]) =>
    !above.has(folderOf(path)) && folderOf(path) !== "examples" &&
    /\b(?:from|import)\s*\(?\s*["'`](?:jsr:|npm:)?@switchyard\//.test(code(text))
  );
  assertEquals(wrong.map(([path]) => path), []);
});

Deno.test("only moe/layer.ts knows routers and experts both", () => {
  const both = sources.filter(([path, text]) => {
    const folders = new Set(imports(path, text).map(folderOf));
    return folderOf(path) === "moe" && folders.has("routers") && folders.has("experts");
  });
  assertEquals(both.map(([path]) => path).filter((path) => path !== "moe/layer.ts"), []);
});

Deno.test("only what cannot run in a browser names Deno", () => {
  const allowed = ["formats/files.ts", "formats/file_on_disk.ts"];
  const folders = new Set(["cli", ...above]);
  const named = sources.filter(([path, text]) =>
    /(?<!["\w])\bDeno\s*[.[?]/.test(code(text)) && !folders.has(folderOf(path))
  );
  assertEquals(
    named.map(([path]) => path).filter((path) => !allowed.includes(path) && !path.startsWith("cpu/blas/")),
    [],
  );
});

Deno.test("every source opens with one to three lines of comment", () => {
  const wrong = sources.filter(([, text]) => {
    const opening = text.split("\n").findIndex((line) => !line.startsWith("// "));
    return !(opening >= 1 && opening <= 3);
  });
  assertEquals(wrong.map(([path]) => path), []);
});

Deno.test("zod is imported as a namespace, so that bundles leave its translations out", () => {
  const wrong = [...texts].filter(([, text]) => /import (?:type )?\{[^}]*\bz\b[^}]*\} from "zod"/.test(text));
  assertEquals(wrong.map(([path]) => path), []);
});

Deno.test("who promises equal bytes says on what: engines round Math.log and Math.exp in their own way", () => {
  const promise = /byte\s+(?:\/\/\s+)?for\s+(?:\/\/\s+)?byte|writes?\s+the\s+same\s+(?:bytes|records?)\b/g;
  const promises = [...texts].filter(([path]) => /\.(ts|md)$/.test(path) && folderOf(path) !== "tests")
    .flatMap(([path, text]) =>
      [...text.matchAll(promise)].map(({ index }) =>
        [path, text.slice(Math.max(0, index - 200), index + 200)] as const
      )
    );
  assert(promises.length > 2);
  assertEquals(promises.filter(([, around]) => !/JavaScript\s+(?:\/\/\s+)?engine/.test(around)), []);
});

Deno.test("files are named in snake case", () => {
  const wrong = sources.map(([path]) => path).filter((path) =>
    !/^([a-z0-9_]+\/)*[a-z0-9_]+(\.as)?\.ts$/.test(path)
  );
  assertEquals(wrong, []);
});

/** Lists of names that a registry holds too, and why they are written out. */
const chosenNames: Record<string, string> = {
  "experiments/compare.ts": "a choice: what is compared unless others are named",
  "bench/step_bench.ts": "a choice: routers that stand for the rest",
};

Deno.test("no list repeats what a registry holds, but a few that choose from it", () => {
  const registries = [routers(), experts(), tasks(), Object.keys(sizes).map((name) => ({ name }))]
    .map((plugins) => new Set(plugins.map(({ name }) => name)));
  const found = sources.filter(([path]) => folderOf(path) !== "tests").flatMap(([path, text]) =>
    [...code(text).matchAll(/\[((?:\s*"[\w-]+",?){3,})\s*\]/g)].map(([, inner]) => inner.match(/[\w-]+/g)!)
      .filter((names) => registries.some((known) => names.every((name) => known.has(name))))
      .map(() => path)
  );
  assertEquals([...new Set(found)].filter((path) => !(path in chosenNames)), []);
  assertEquals(Object.keys(chosenNames).filter((path) => !found.includes(path)), [], "listed, but not there");
});

/** Longer files, and why. */
const long: Record<string, string> = {
  "kernels/balanced_assignment/cpu.as.ts":
    "one solver: prices, paths and ties work on one graph and make sense only together",
  "kernels/parts/gemm.as.ts": "one product: packing, inner loops and their edges make sense only together",
};

Deno.test("a file past 300 lines of code says why, here", () => {
  const linesOf = (text: string) => code(text).split("\n").filter((line) => line.trim() !== "").length;
  const lengths = sources.filter(([path]) => folderOf(path) !== "tests" && !path.startsWith("cpu/wasm"))
    .map(([path, text]) => [path, linesOf(text)] as const);
  assertEquals(lengths.filter(([path, lines]) => lines > 300 && !(path in long)), []);
  const stale = Object.keys(long).filter((path) =>
    !lengths.some(([one, lines]) => one === path && lines > 300)
  );
  assertEquals(stale, [], "listed, but not long (any more)");
});

/** Values that one load of a module may change, and why two programs at once still do not see each other. */
const moduleState: Record<string, string> = {
  "bench/kernels_bench.ts largest": "one process times one suite",
  "bench/peers/ours.ts kept": "one process serves one workload at a time",
  "kernels/count_to_share/kernel.ts cases":
    "test cases, computed when they are first asked for; always the same",
  "kernels/exchange_gain/kernel.ts cases":
    "test cases, computed when they are first asked for; always the same",
  "kernels/kernel.ts known": "patterns of match(), each taken apart once; always the same",
  "tensor/context.ts contexts": "by handle: no two programs share one, and an entry goes with its handle",
  "tensor/on_host.ts hosts": "by device: an entry goes with its device, and calls fork the host",
};

/** Names of a file's module-level variables that code may change: `let`, and constants whose contents are changed. */
function changeable(text: string): string[] {
  const source = code(text);
  const variables = [...source.matchAll(/^(?:export )?(?:let|var) (\w+)/gm)].map(([, name]) => name);
  const constants = [...source.matchAll(/^(?:export )?const (\w+)/gm)].map(([, name]) => name);
  const methods = "add|clear|copyWithin|delete|fill|pop|push|reverse|set|shift|sort|splice|unshift";
  const changed = constants.filter((name) =>
    new RegExp(
      `(?<![\\w.])${name}(?:\\??\\.(?:${methods})\\(|(?:\\.\\w+|\\[[^\\]]*\\])+\\s*(?:[-+*/|&?]{0,2}=(?![=>])|\\+\\+|--))`,
    ).test(source)
  );
  return [...variables, ...changed];
}

Deno.test("the search for module-level state finds it, and nothing else", () => {
  const found = (text: string) => changeable(text).join();
  assertEquals(found("let latest = 0;\nexport let last;"), "latest,last");
  assertEquals(found("const open = [];\nfunction f() {\n  open.push(1);\n}"), "open");
  assertEquals(found("const a = new Map();\nconst f = () => a.set(1, 2);"), "a");
  assertEquals(found("const b: number[] = [];\nfunction f() {\n  b[0] = 1;\n}"), "b");
  assertEquals(found("const c = { x: 0 };\nfunction f() {\n  c.x++;\n  c.x ??= 2;\n}"), "c");
  assertEquals(found("const d = new Map([[1, 2]]);\nfunction f() {\n  let x = d.get(1) === 2;\n}"), "");
  assertEquals(found("const e = [1];\nfunction f() {\n  return e[0] == 1 || e.map((y) => y);\n}"), "");
});

Deno.test("no module keeps state that two programs at once would share, but what is listed here", () => {
  // Each instance of the WebAssembly module has variables of its own; each test file and example is a process of its own.
  const alone = ["tests", "examples"];
  const kept = sources.filter(([path]) => !path.endsWith(".as.ts") && !alone.includes(folderOf(path)))
    .flatMap(([path, text]) => changeable(text).map((name) => `${path} ${name}`));
  assertEquals(kept.filter((one) => !(one in moduleState)), []);
  assertEquals(Object.keys(moduleState).filter((one) => !kept.includes(one)), [], "listed, but not there");
});

Deno.test("no circle between files, types included", () => {
  const targets = new Map(sources.map(([path, text]) => [path, imports(path, text)]));
  const circles: string[] = [];
  const done = new Set<string>();
  const walk = (path: string, way: readonly string[]) => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    if (done.has(path)) return;
    done.add(path);
    for (const target of targets.get(path) ?? []) walk(target, [...way, path]);
  };
  for (const path of targets.keys()) walk(path, []);
  assertEquals(circles, []);
});

Deno.test("no text names a place on somebody's machine or a registry's host", () => {
  const hosts = [
    "registry npmjs org",
    "registry yarnpkg com",
    "pypi org",
    "files pythonhosted org",
    "static crates io",
  ]
    .concat("proxy golang org", "deb debian org", "repo1 maven org").map((host) => host.replaceAll(" ", "."));
  const home = /(?<![\w.:}/-])\/(?:work|root|home|Users)\/\w/;
  const wrong = [...texts].filter(([path, text]) =>
    !path.startsWith("cpu/wasm/") && (home.test(text) || hosts.some((host) => text.includes(host)))
  );
  assertEquals(wrong.map(([path]) => path), []);
});

Deno.test("the WebAssembly modules are what their sources compile to", async () => {
  assertEquals(programs, programNames(root).map((program) => program.split(" ")[0]));
  for (const variant of variants) {
    const { default: text, limitsAt } = await modules[variant]();
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const fresh = await compile(root, variant, false);
    const held = gunzipSync(packed);
    const same = held.length === fresh.length && held.every((byte, at) => byte === fresh[at]);
    assert(same, `cpu/wasm/ (${variant}) is stale: run deno task build:wasm`);
    assertEquals(limitsAt, limitsPlace(fresh, await compile(root, variant, true)));
  }
});
