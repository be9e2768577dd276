// Names that a module exports, found in its text and in that of the modules it passes on: nothing is run, so they are
// known while a list of plugins is out of date.

const declared =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm;
const named = /^export (?:type )?\{([^}]*)\}/gm;
const all = /^export (?:type )?\* from "(\.[^"]+)"/gm;
const namespace = /^export (?:type )?\* as (\w+) from/gm;

/** Every name that the module at `url` exports; modules of `without`, by URL, are passed over. */
export function exportedNames(url: URL, without: ReadonlySet<string> = new Set()): Set<string> {
  const source = Deno.readTextFileSync(url);
  const listed = [...source.matchAll(named)].flatMap(([, inner]) =>
    inner.split(",").map((part) => part.trim().replace(/^type /, "").replace(/^.* as /, ""))
  );
  const passedOn = [...source.matchAll(all)].map(([, path]) => new URL(path, url))
    .filter(({ href }) => !without.has(href))
    .flatMap((inner) => [...exportedNames(inner, without)]);
  const names = [declared, namespace].flatMap((form) => [...source.matchAll(form)].map(([, name]) => name));
  return new Set([...names, ...listed, ...passedOn].filter((name) => name !== ""));
}
