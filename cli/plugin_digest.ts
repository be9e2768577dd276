// What plugins are, by content: SHA-256 over the text of each module and of the local modules that it imports. The same
// text at another path is the same plugin; an edited one is another.
import { fileURLToPath, pathToFileURL } from "node:url";
import { readText } from "../formats/files.ts";
import { digestOf } from "../tasks/digest.ts";

/**
 * Digests of modules given with `--plugin`, in their order; empty where there are none. Of packages and other addresses
 * the address counts, with its version.
 * @param paths File paths, taken from the current folder, or URLs.
 */
export async function pluginDigests(paths: readonly string[]): Promise<string> {
  const digests = [];
  for (const path of paths) {
    const isAddress = /^(https?|jsr|npm|data):/.test(path);
    digests.push(await digestOf(...isAddress ? [path] : await localTexts(urlOf(path), new Set())));
  }
  return digests.map((digest) => digest.slice(0, 16)).join(" ");
}

function urlOf(path: string): URL {
  return path.startsWith("file:") ? new URL(path) : pathToFileURL(path);
}

/** The texts of a module and of what it imports by relative paths, each once, depth first. */
async function localTexts(module: URL, seen: Set<string>): Promise<string[]> {
  if (seen.has(module.href)) return [];
  seen.add(module.href);
  const text = await readText(fileURLToPath(module));
  const texts = [text];
  for (
    const [, specifier] of text.matchAll(/\b(?:from|import)\s*\(?\s*["'](\.{1,2}\/[^"']+|file:[^"']+)["']/g)
  ) {
    texts.push(...await localTexts(new URL(specifier, module), seen));
  }
  return texts;
}
