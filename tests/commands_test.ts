// The command line as pages tell of it: every `deno task ...` that README and docs name exists and takes the options it is
// shown with, and every task answers help, --help, -h, --version and a mistyped option alike.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import configuration from "../deno.json" with { type: "json" };
import { readCommand } from "../cli/command.ts";
import { type CommandLine, helpText, splitWords } from "../cli/options.ts";
import { outlineRuns } from "../cli/plan_runs.ts";
import { registerExperts } from "../experts/registry.ts";
import { swiglu } from "../experts/swiglu.ts";
import { registerRouter } from "../routers/registry.ts";
import { switchRouter } from "../routers/switch.ts";
import { recall } from "../tasks/recall.ts";
import { registerTask } from "../tasks/registry.ts";
import { runTask, type Task, taskWords } from "./task_command.ts";

const root = new URL("../", import.meta.url);

/** Tasks that are Deno's own commands, with Deno's own options. */
const denos: readonly string[] = ["packages", "test", "test:long", "test:browser", "test:slowest"];

/** Where a task's command line is declared, where that is not the file that runs. */
const declaredIn: Readonly<Record<string, string>> = {
  convert: "cli/convert_options.ts",
  experiments: "cli/experiment_options.ts",
};

async function lineOf(task: string): Promise<CommandLine> {
  const path = declaredIn[task] ?? taskWords(task as Task).findLast((word) => word.endsWith(".ts"))!;
  const module = await import(new URL(path, root).href) as Record<string, unknown>;
  const isLine = (value: unknown): value is CommandLine =>
    typeof value === "object" && value !== null && (value as { task?: unknown }).task === task;
  const line = Object.values(module).find(isLine);
  assert(line, `${path} exports no command line of ${task}`);
  return line;
}

const ours = Object.keys(configuration.tasks).filter((task) => !denos.includes(task));
const lines = new Map<string, CommandLine>();
for (const task of ours) lines.set(task, await lineOf(task));

interface Shown {
  readonly page: string;
  readonly task: string;
  readonly words: readonly string[];
}

/** Words as a shell splits them: quotes hold words together, a comment ends the line. */
function shellWords(text: string): string[] {
  const plain = text.replace(/(^|\s)#.*$/, "");
  const words = [...plain.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2")
  );
  const end = words.findIndex((word) => /^[>|&;]/.test(word));
  return end < 0 ? words : words.slice(0, end);
}

/** Commands of a page: lines of its shell fences, and what stands between backticks. */
function commandsOf(page: string, text: string): Shown[] {
  const fences = [...text.matchAll(/^```sh\n([^]*?)^```/gm)]
    .flatMap(([, body]) => body.replaceAll(/\\\n\s*/g, "").split("\n"));
  const spans = [...text.replaceAll(/^```[^]*?^```/gm, "").matchAll(/`([^`]+)`/g)]
    .map(([, span]) => span.replaceAll(/\s+/g, " "));
  return [...fences, ...spans].flatMap((command) => {
    const found = command.match(/^(?:npx -y )?deno(?:@[\d.]+)? task ([a-z:]+)(?![A-Z])(.*)$/);
    return found ? [{ page, task: found[1], words: shellWords(found[2]) }] : [];
  });
}

async function pages(): Promise<string[]> {
  const found: string[] = ["README.md", "CONTRIBUTING.md", "experiments/LOG.md", "bench/peers/README.md"];
  for (const folder of ["docs", "docs/decisions", "routers", "experts", "tasks", "examples"]) {
    for await (const { name } of Deno.readDir(new URL(`${folder}/`, root))) {
      if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  }
  return found.sort();
}

const shown = (await Promise.all(
  (await pages()).map(async (page) => commandsOf(page, await Deno.readTextFile(new URL(page, root)))),
)).flat();

/** Plugins that pages write: their names are known to a command once `--plugin` has brought them. */
const brought = {
  routers: [{ ...switchRouter, name: "my-router" }],
  experts: [{ ...swiglu, name: "bilinear" }],
  tasks: [{ ...recall, name: "sectors" }],
};
brought.routers.forEach(registerRouter);
brought.experts.forEach(registerExperts);
brought.tasks.forEach(registerTask);

Deno.test("every command of a page is a task, and takes the options that it is shown with", () => {
  assert(shown.length > 120, `${shown.length} commands`);
  const wrong = shown.flatMap(({ page, task, words }) => {
    const line = lines.get(task);
    if (!line) return denos.includes(task) ? [] : [`${page}: there is no task ${task}`];
    try {
      const split = splitWords(words, line);
      if (task === "experiments" && !split.flags.help) {
        const brings = (file: string) => split.values.plugin.some((path) => path.endsWith(file));
        outlineRuns(readCommand(split, {
          routers: brings("my_router.ts") ? brought.routers : [],
          experts: brings("bilinear.ts") ? brought.experts : [],
          tasks: brings("sectors.ts") ? brought.tasks : [],
        }, null));
      }
      return [];
    } catch (error) {
      return [`${page}: ${task} ${words.join(" ")}: ${(error as Error).message}`];
    }
  });
  assertEquals(wrong, []);
});

Deno.test("a command with an option that is none, and a task that is none, would be found", () => {
  const text =
    "```sh\ndeno task compare A \\\n  --jsn # no\n```\nand `deno task nosuch`, `deno task NAME`, but `deno task bench`";
  assertEquals(commandsOf("page", text), [
    { page: "page", task: "compare", words: ["A", "--jsn"] },
    { page: "page", task: "nosuch", words: [] },
    { page: "page", task: "bench", words: [] },
  ]);
  assertThrows(() => splitWords(["A", "--jsn"], lines.get("compare")!), RangeError, "did you mean --json?");
  assertEquals(shellWords(`RUN --prompt 'All human ' --x "a b"c > file # d`), [
    ...["RUN", "--prompt", "All human ", "--x", "a bc"],
  ]);
});

for (const [task, line] of lines) {
  Deno.test(`deno task ${task}: help in three words, version, and what was meant`, async () => {
    const { code, out } = await runTask(task as Task, ["help"]);
    assertEquals([code, out], [0, `${helpText(line)}\n`]);
    for (const word of ["-h", "--help", "help"]) assert(splitWords([word], line).flags.help, word);
    assert(splitWords(["--version"], line).flags.version);
    assertMatch(helpText(line), new RegExp(`^  deno task ${task}\\b`, "m"));
    assertThrows(() => splitWords(["--hlep"], line), RangeError, "did you mean --help?");
    if (line.operands === undefined) {
      assertThrows(() => splitWords(["more"], line), RangeError, 'Cannot use "more"');
    }
  });
}

Deno.test("the page of commands lists every task, and every one has a description", async () => {
  const page = await Deno.readTextFile(new URL("docs/commands.md", root));
  for (const [task, { description }] of Object.entries(configuration.tasks)) {
    assert(page.includes(`| \`${task}\``), `docs/commands.md has no row for ${task}`);
    assert(description.length > 10, task);
  }
});

Deno.test("exit codes are those of the page of commands", async () => {
  const code = async (task: Task, ...words: string[]) => (await runTask(task, words)).code;
  assertEquals(await code("compare", "--version"), 0);
  assertEquals(await code("compare", fileURLToPath(new URL("no such folder", root))), 1);
  assertEquals(await code("check:router", "no such file.ts"), 1);
});
