// Paths on the command line are taken from where the user stands. `deno task` starts in the folder of deno.json and tells
// where it was called in INIT_CWD.
import { resolve } from "node:path";
import { corpora } from "../data/corpora.ts";
import type { Words } from "./options.ts";

const pathOptions = ["out", "plugin", "config", "against", "text", "tokenizer"];

/** Where the user stands, where that is not the folder the command runs in. */
export function elsewhere(stands: string | undefined, here: string): string | null {
  return stands === undefined || resolve(stands) === resolve(here) ? null : stands;
}

/** Words whose paths hold in the folder the command runs in; nothing changes where the user stands there too. */
export function fromWhereTheUserStands(words: Words, stands: string | null): Words {
  if (stands === null) return words;
  const moved = (name: string, path: string) => isNoPath(name, path) ? path : resolve(stands, path);
  return {
    ...words,
    values: Object.fromEntries(
      Object.entries(words.values).map(([name, values]) => [
        name,
        pathOptions.includes(name) ? values.map((path) => moved(name, path)) : values,
      ]),
    ),
  };
}

/** The same where operands are paths as well. */
export function operandsFromWhereTheUserStands(words: Words, stands: string | null): Words {
  if (stands === null) return words;
  return {
    ...fromWhereTheUserStands(words, stands),
    names: words.names.map((name) => resolve(stands, name)),
  };
}

/** Nothing, the name of a corpus, or a module's URL. */
function isNoPath(option: string, word: string): boolean {
  return word === "" || option === "text" && corpora.some(({ name }) => name === word) ||
    option === "plugin" && /^(https?|file|jsr|npm|data):/.test(word);
}
