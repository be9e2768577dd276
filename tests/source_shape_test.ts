// How source files are written, read from their syntax: functions stay short, files stay short, and errors say what cannot
// be done.
import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);
const { stdout } = await new Deno.Command("git", {
  args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.ts"],
  cwd: root,
}).output();
const sources = new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "").flatMap((path) => {
  if (path.startsWith("tests/") || path.startsWith("cpu/wasm")) return [];
  try {
    return [{ path, text: Deno.readTextFileSync(new URL(path, root)) }];
  } catch {
    return []; // Taken away but not yet from git.
  }
});

/** AssemblyScript has decorators where TypeScript has none. */
const inTypeScript = sources.filter(({ path }) => !path.endsWith(".as.ts"));

/** Lines of code: those that are neither empty nor comment. */
function linesOfCode(text: string): number {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(?<!:)\/\/.*$/gm, "").split("\n")
    .filter((line) => line.trim() !== "").length;
}

type Visitor = Deno.lint.LintVisitor;

/** What a visitor reports of a text. */
function found(
  text: string,
  visit: (say: (message: string, node: Deno.lint.Node) => void) => Visitor,
): string[] {
  const plugin: Deno.lint.Plugin = {
    name: "shape",
    rules: {
      shape: { create: (context) => visit((message, node) => context.report({ node, message })) },
    },
  };
  return Deno.lint.runPlugin(plugin, "source.ts", text).map(({ message }) => message);
}

type Fn = Deno.lint.FunctionDeclaration | Deno.lint.FunctionExpression | Deno.lint.ArrowFunctionExpression;

/** The name a function is known by, as far as its syntax tells. */
function nameOf(node: Fn): string {
  if ("id" in node && node.id) return node.id.name;
  const { parent } = node;
  if (parent.type === "VariableDeclarator" && parent.id.type === "Identifier") return parent.id.name;
  if (
    (parent.type === "Property" || parent.type === "MethodDefinition") && parent.key.type === "Identifier"
  ) {
    return parent.key.name;
  }
  return "a function";
}

function longFunctions(text: string): string[] {
  return found(text, (say) => {
    const look = (node: Fn) => {
      const lines = linesOfCode(text.slice(...node.range));
      if (lines > 80) say(nameOf(node), node);
    };
    return { FunctionDeclaration: look, FunctionExpression: look, ArrowFunctionExpression: look };
  });
}

/** A literal's text with `…` for what is put in; null where the text is made elsewhere. */
function literalOf(node: Deno.lint.Node | undefined): string | null {
  if (node?.type === "Literal") return typeof node.value === "string" ? node.value : null;
  if (node?.type === "TemplateLiteral") return node.quasis.map(({ cooked }) => cooked).join("…");
  if (node?.type === "BinaryExpression") {
    const left = literalOf(node.left as Deno.lint.Node);
    return left === null ? null : left + (literalOf(node.right) ?? "…");
  }
  return null;
}

/** Messages of `new Error(...)` and its kin. */
function messages(text: string): string[] {
  return found(text, (say) => ({
    NewExpression(node) {
      if (node.callee.type !== "Identifier" || !/^(Range|Type)?Error$/.test(node.callee.name)) return;
      const message = literalOf(node.arguments[0]);
      if (message !== null) say(message, node);
    },
  }));
}

/** Longer functions, and why. */
const long: Readonly<Record<string, string>> = {
  "bench/peers/reference.ts moe": "the published layer as one plain program, to be read beside the paper",
  "bench/scaling/tables.ts scalingTables": "one literal: the tables of a page, in their order",
  "bench/tables.ts tablesOf": "one literal: the tables of a page, in their order",
  "cpu/backend.ts cpu":
    "methods of one object over one heap; what stands alone is in heap, threads, programs",
  "cpu/heap.ts createHeap": "methods of one allocator over one free list",
  "gpu/backend.ts webgpu": "methods of one object over one queue; what stands alone is in files beside it",
  "report/score_chart.ts drawing": "one literal: the marks of one chart",
  "tools/jsr_stand_ins/cli/parse_args.ts parseArgs": "one pass over words, with the signature of @std/cli",
  "training/trainer.ts createTrainer": "methods of one object over the state of one run",
};

Deno.test("the search for long functions and messages finds them", () => {
  const body = Array.from({ length: 81 }, (_, at) => `  f(${at});`).join("\n");
  assertEquals(longFunctions(`function big() {\n${body}\n}\nconst small = () => {\n  f(1);\n};\n`), ["big"]);
  assertEquals(longFunctions(`const big = () => {\n${body}\n};\n`), ["big"]);
  assertEquals(
    messages('throw new RangeError("Cannot do: " + x);\nnew Error(`a ${b} c`);\nnew Error(text);'),
    [
      "Cannot do: …",
      "a … c",
    ],
  );
});

Deno.test("a function of more than 80 lines of code says why, here", () => {
  const all = inTypeScript.flatMap(({ path, text }) => longFunctions(text).map((name) => `${path} ${name}`));
  assertEquals(all.filter((one) => !(one in long)), []);
  assertEquals(Object.keys(long).filter((one) => !all.includes(one)), [], "listed, but not long (any more)");
});

Deno.test("files are short: the median is under 70 lines of code, nine of ten are under 170", () => {
  const lengths = sources.map(({ text }) => linesOfCode(text)).sort((a, b) => a - b);
  assert(lengths.length > 300);
  assert(lengths[Math.floor(lengths.length / 2)] < 70, "median");
  assert(lengths[Math.floor(0.9 * lengths.length)] < 170, "nine of ten");
});

/** Files whose errors are reasons that another sentence quotes after "Cannot ...: ". */
const reasons: Readonly<Record<string, string>> = {
  "cli/plugin.ts": "adds the plugin's path to the sentence that the plugin's registration threw",
  "cli/run.ts": "adds what becomes of the other runs to the sentence of the run that failed",
  "formats/file_on_disk.ts": "quoted after the name of the file",
  "formats/gguf_write.ts": "quoted after the name of the file",
  "formats/safetensors_write.ts": "quoted after the name of the file",
  "tools/with_adapter.ts": "quoted after the name of the adapter",
};

Deno.test("an error says what cannot be done, without a full stop", () => {
  const all = inTypeScript.flatMap(({ path, text }) => messages(text).map((message) => ({ path, message })));
  assert(all.length > 200);
  const isWell = (message: string) => /^Cannot [a-z…]/.test(message) && !/[.!]$/.test(message);
  const wrong = all.filter(({ path, message }) => !isWell(message) && !(path in reasons));
  assertEquals(wrong, []);
  const stale = Object.keys(reasons).filter((path) =>
    !all.some((one) => one.path === path && !isWell(one.message))
  );
  assertEquals(stale, [], "listed, but without such an error (any more)");
});

Deno.test("fields are written where they belong: no literal is spread into another", () => {
  const spread = (text: string) =>
    found(text, (say) => ({
      SpreadElement(node) {
        if (node.argument.type === "ObjectExpression") say("a spread literal", node);
      },
    }));
  assertEquals(spread("const a = { ...{ b }, c };").length, 1);
  assertEquals(spread("const a = { ...(b ? { c } : {}), ...d };"), []);
  assertEquals(inTypeScript.filter(({ text }) => spread(text).length > 0).map(({ path }) => path), []);
});
