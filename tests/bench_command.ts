// Runs a bench's task as a user's shell would, and compares what it computes from its own figures.
import { assert, assertEquals } from "@std/assert";
import configuration from "../deno.json" with { type: "json" };

/** A task of deno.json. */
export type Task = keyof typeof configuration.tasks;

const root = new URL("../", import.meta.url);

/** Runs a task's own command with more words, and with the permissions it asks for. */
export async function run(task: Task, ...words: string[]) {
  const [program, ...own] = configuration.tasks[task].command.split(" ");
  assertEquals(program, "deno");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [own[0], "--no-prompt", ...own.slice(1), ...words],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
}

/** Equal but for rounding. */
export function assertClose(got: number, want: number) {
  assert(Math.abs(got - want) <= 1e-6 * want, `${got} and should be ${want}`);
}
