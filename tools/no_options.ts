// The command line of a tool that takes no options: it answers --help and refuses everything else before it does anything.

/**
 * What to print and how to exit instead of working, or null when the words are none and the tool goes to work.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { answer } from "./no_options.ts";
 *
 * assertEquals(answer([], "index", "Writes tables."), null);
 * assertEquals(answer(["-h"], "index", "Writes tables.")?.code, 0);
 * assertEquals(answer(["--all"], "index", "Writes tables.")?.code, 1);
 * ```
 */
export function answer(
  words: readonly string[],
  task: string,
  about: string,
): { text: string; code: number } | null {
  if (words.length === 0) return null;
  if (words.length === 1 && ["--help", "-h"].includes(words[0])) {
    return { text: `deno task ${task}\n${about} It takes no options.`, code: 0 };
  }
  return { text: `Cannot use "${words.join(" ")}": deno task ${task} takes no options`, code: 1 };
}

/** Prints the answer to a tool's words and exits; returns when there are none. */
export function takeNoOptions(task: string, about: string): void {
  const given = answer(Deno.args, task, about);
  if (!given) return;
  (given.code === 0 ? console.log : console.error)(given.text);
  Deno.exit(given.code);
}
