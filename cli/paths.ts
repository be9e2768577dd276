// Paths on the command line are taken from where the user stands. `deno task` starts in the folder of deno.json and tells
// where it was called in INIT_CWD.
import { resolve } from "node:path";
import { corpora } from "../data/corpora.ts";
import type { CommandLine, Words } from "./options.ts";

/** Where the user stands, where that is not the folder the command runs in. */
export function elsewhere(stands: string | undefined, here: string): string | null {
  return stands === undefined || resolve(stands) === resolve(here) ? null : stands;
}

/** A path that was typed as an option's value, from the folder the command runs in; other words stay as they are. */
export function pathFrom(stands: string | null, option: string, word: string): string {
  return stands === null || isNoPath(option, word) ? word : resolve(stands, word);
}

/** Words whose paths hold in the folder the command runs in; nothing changes where the user stands there too. */
export function fromWhereTheUserStands(words: Words, line: CommandLine, stands: string | null): Words {
  const values = Object.entries(words.values).map(([name, values]) => [
    name,
    line.options[name]?.isPath ? values.map((word) => pathFrom(stands, name, word)) : values,
  ]);
  return { ...words, values: Object.fromEntries(values) };
}

/** The same where operands are paths as well. */
export function operandsFromWhereTheUserStands(
  words: Words,
  line: CommandLine,
  stands: string | null,
): Words {
  const moved = fromWhereTheUserStands(words, line, stands);
  return stands === null ? moved : { ...moved, names: words.names.map((name) => resolve(stands, name)) };
}

/** Nothing, the name of a corpus or a kind of BLAS, or an address. */
function isNoPath(option: string, word: string): boolean {
  return word === "" || option === "text" && corpora.some(({ name }) => name === word) ||
    option === "blas" && !word.includes("/") ||
    ["plugin", "from", "teacher"].includes(option) && /^(https?|file|jsr|npm|data):/.test(word);
}
