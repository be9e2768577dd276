// What a program of the user's may import: zod, and the package, by its name or by the path of any file of it.
import "../jitless.ts";
import * as z from "zod";
import * as everything from "../../mod.ts";

const packages: Readonly<Record<string, object>> = { zod: z };

/** A module for a program; a name that it does not have is refused where it is used. */
export function requirePackage(specifier: string): object {
  const names = packages[specifier] ?? (isOurs(specifier) ? everything : null);
  if (names === null) {
    throw new RangeError(`Cannot import "${specifier}" in a page: there are "zod" and "@switchyard/moe"`);
  }
  return new Proxy({}, {
    get(_, name) {
      if (name === "__esModule") return true;
      if (name in names) return names[name as keyof typeof names];
      throw new RangeError(
        `Cannot import ${String(name)} from "${specifier}": @switchyard/moe exports no such name`,
      );
    },
  });
}

function isOurs(specifier: string): boolean {
  return specifier.startsWith(".") || /^(jsr:)?@switchyard\/moe(@[^/]*)?(\/\w+)?$/.test(specifier);
}
