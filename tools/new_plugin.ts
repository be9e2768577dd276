// What writing the file of a new plugin takes, whatever it is a plugin of: a name that nothing else in the file has, a file
// that is not there yet, and one sentence for what cannot be done.
import { type CommandLine, runTask } from "../cli/options.ts";
import { reasonOf } from "../formats/files.ts";
import { exportedNames } from "./exported_names.ts";
import { kebabCase } from "../tensor/plugins.ts";

/** Words that are no name of a const in a module, or of something every module has. */
const reserved = new Set(
  ("break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if import in instanceof new null return super switch this throw true try typeof var void while with let " +
    "static yield await async implements interface package private protected public eval arguments undefined z")
    .split(" "),
);

/** A kind of plugin whose files can be written. */
export interface PluginFiles {
  /** In errors: `router "x"`. */
  readonly word: string;
  /** Without a name: `a router`. */
  readonly one: string;
  /** A name that shows how names are written. */
  readonly example: string;
  readonly folder: string;
  /** What a const's name ends in where the name alone is taken. */
  readonly ending: string;
  /** Text of a working file. */
  skeleton(names: PluginNames): string;
}

/** How a new plugin is called in its file. */
export interface PluginNames {
  /** In kebab-case. */
  readonly name: string;
  /** Of its const. */
  readonly constant: string;
  /** Of the type of its options. */
  readonly type: string;
  /** For sentences. */
  readonly title: string;
}

/** Text of a new plugin's file; where a name is taken, its const gets an ending. */
export function skeletonOf(files: PluginFiles, name: string, taken: ReadonlySet<string> = new Set()): string {
  const camel = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const upper = `${camel[0].toUpperCase()}${camel.slice(1)}`;
  const type = taken.has(`${upper}Options`) ? `${upper}${files.ending}Options` : `${upper}Options`;
  const title = name.replaceAll("-", " ").replace(/^\w/, (letter) => letter.toUpperCase());
  const text = (constant: string) => files.skeleton({ name, constant, type, title });
  const imported = new RegExp(`^import .*\\b${camel}\\b.* from`, "m");
  return text(
    reserved.has(camel) || taken.has(camel) || imported.test(text("")) ? `${camel}${files.ending}` : camel,
  );
}

/**
 * Writes the file of a new plugin and returns its path from the root.
 * @throws {RangeError} when the name is not in kebab-case or its file is there already.
 */
export function createPlugin(root: URL, files: PluginFiles, name: string): string {
  const { word, example, folder } = files;
  if (!kebabCase.test(name)) {
    throw new RangeError(`Cannot make ${word} "${name}": a name is kebab-case, like "${example}"`);
  }
  const path = `${folder}/${name.replaceAll("-", "_")}.ts`;
  const text = skeletonOf(files, name, exportedNames(new URL("mod.ts", root)));
  try {
    Deno.writeTextFileSync(new URL(path, root), text, { createNew: true });
  } catch (error) {
    const why = error instanceof Deno.errors.AlreadyExists ? `${path} is there already` : reasonOf(error);
    throw new RangeError(`Cannot make ${word} "${name}": ${why}`, { cause: error });
  }
  return path;
}

/** The command line of `deno task new:... NAME`. */
export function newPluginLine({ one, folder }: PluginFiles, task: string): CommandLine {
  return { task, about: `Writes the skeleton of ${one} into ${folder}/.`, operands: "NAME", options: {} };
}

/** What `deno task new:... NAME` does. */
export async function createFromCommandLine(files: PluginFiles, line: CommandLine): Promise<void> {
  await runTask(line, ({ names: [name, ...more] }) => {
    if (name === undefined || more.length > 0) {
      throw new RangeError(
        `Cannot make ${files.one}: give one name, like "deno task ${line.task} ${files.example}"`,
      );
    }
    const path = createPlugin(new URL("../", import.meta.url), files, name);
    console.log(`Wrote ${path}. Run "deno task index", and tests, benchmarks and experiments have it.`);
  });
}
