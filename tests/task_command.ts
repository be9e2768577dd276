// Runs a task of deno.json as a user's shell would: with the task's own words and permissions, and without a prompt.
import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };

const root = new URL("../", import.meta.url);

/** A task of deno.json. */
export type Task = keyof typeof config.tasks;

/** What a command left behind. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Words of a task after `deno`. */
export function taskWords(task: Task): string[] {
  const [deno, ...words] = config.tasks[task].command.split(" ");
  assertEquals(deno, "deno");
  for (const word of words) assert(/^[\w./=,:-]+$/.test(word), `"${word}" would need a shell to read`);
  return words;
}

/** Runs a task to its end; `env` comes on top of the environment of the tests. */
export async function runTask(
  task: Task,
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const [run, ...own] = taskWords(task);
  const command = new Deno.Command(Deno.execPath(), {
    args: [run, "--no-prompt", ...own, ...words],
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  });
  return outcomeOf(await command.output());
}

/** A finished command's exit code and texts. */
export function outcomeOf({ code, stdout, stderr }: Deno.CommandOutput): Outcome {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), error: text(stderr) };
}
