// Runs `deno task experiments` as a user's shell would: the words and the permissions are those that deno.json gives.
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { madeUpParagraphs } from "./made_up_text.ts";
import { inOwnFolder } from "./own_folder.ts";
import { type Outcome, outcomeOf, taskWords } from "./task_command.ts";

const root = new URL("../", import.meta.url);

/** Environment of the command: no colours, and called from here, whatever the tests were started with. */
const env = { NO_COLOR: "1", INIT_CWD: fileURLToPath(root) };

/** Starts the command; `before` are options of Deno's own, in front of the task's. */
export function startExperiments(
  words: readonly string[],
  before: readonly string[] = [],
): Deno.ChildProcess {
  const [run, ...task] = taskWords("experiments");
  const args = [run, ...before, ...task, ...words];
  return new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs the command to its end. */
export async function experiments(...words: string[]): Promise<Outcome> {
  return outcomeOf(await startExperiments(words).output());
}

/** Runs `deno task experiments` as it is typed in a folder below the root. */
export async function experimentsFrom(folder: string, ...words: string[]): Promise<Outcome> {
  // A task that runs the tests has said where it was called; this one has to say it anew.
  const { INIT_CWD: _, ...inherited } = Deno.env.toObject();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "experiments", ...words],
    cwd: new URL(folder, root),
    clearEnv: true,
    env: { ...inherited, NO_COLOR: "1" },
    stdin: "null",
  });
  return outcomeOf(await child.output());
}

/** Runs the command through `shell`, which finds the words of the command in "$@". */
export async function experimentsInShell(
  shell: readonly string[],
  script: string,
  words: readonly string[],
): Promise<Outcome> {
  const [program, ...args] = [...shell, script, "sh", Deno.execPath(), ...taskWords("experiments"), ...words];
  return outcomeOf(await new Deno.Command(program, { args, cwd: root, env, stdin: "null" }).output());
}

/** Runs the command and expects it to end well. */
export async function succeed(...words: string[]): Promise<string> {
  const { code, out, error } = await experiments(...words);
  assertEquals([code, error], [0, ""], out);
  return out;
}

/** Checks that a command was refused in one sentence that names `named`, before any training. */
export function assertRefused({ code, out, error }: Outcome, named: readonly string[], about: string): void {
  assert(code !== 0, `${about}: accepted`);
  assert(/^Cannot [^\n]+\n$/.test(error), `${about}: not one sentence but ${JSON.stringify(error)}`);
  for (const name of named) assertStringIncludes(error, name, about);
  assert(!/^run \d/m.test(out), `${about}: trained before it was refused\n${out}`);
}

/** A temporary folder with `text.txt`, enough for the tiny size, in it. */
export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  await inOwnFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/text.txt`, madeUpParagraphs());
    await body(folder);
  }, "switchyard ");
}

/** Every file under a folder with its text, by path from it. */
export function filesIn(folder: string, below = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, isDirectory } of Deno.readDirSync(`${folder}/${below}`)) {
    const path = `${below}${name}`;
    if (isDirectory) { for (const [inner, text] of filesIn(folder, `${path}/`)) found.set(inner, text); }
    else found.set(path, Buffer.from(Deno.readFileSync(`${folder}/${path}`)).toString("latin1"));
  }
  return found;
}
