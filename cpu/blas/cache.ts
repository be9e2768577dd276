// Figures of libraries, kept in the user's cache folder: a file a processor and version of what they are held against.
import { writeAtomic } from "../../formats/files.ts";
import { modules } from "../wasm.ts";
import type { Measurement, Processor, Refused } from "./measurement.ts";
import { userCache } from "./places.ts";

/** What was found of one file. */
export interface Entry {
  /** The file's size and time: with another one it is another library; null for what is no file, which is not kept. */
  readonly stamp: string | null;
  readonly found: readonly (Measurement | Refused)[];
}

/** Entries by library and the user's own core type. */
export type Entries = Record<string, Entry>;

/** Grows when entries mean something else. */
const SCHEMA = 2;

/** Where this processor's figures lie; null where the user has no such folder. */
export async function cachePath(processor: Processor): Promise<string | null> {
  const { target } = Deno.build;
  const folder = userCache();
  if (folder === null) return null;
  // A gzip ends in a checksum and the length of what it holds.
  const wasm = (await modules.relaxed()).default.slice(-12);
  const cores = navigator.hardwareConcurrency;
  const key = JSON.stringify([SCHEMA, target, Deno.version.deno, wasm, cores, processor]);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return `${folder}/switchyard/blas-${digest.toHex().slice(0, 16)}.json`;
}

/** What is kept; nothing where there is no such file, or not a whole one. */
export function readEntries(path: string | null): Entries {
  try {
    return path === null ? {} : JSON.parse(Deno.readTextFileSync(path));
  } catch {
    return {};
  }
}

/**
 * Waits until no other process measures: two at once would slow each other. The result ends the wait of the next one when
 * it is closed; null where there is no folder to keep anything in.
 */
export async function alone(path: string | null): Promise<Disposable | null> {
  if (path === null) return null;
  try {
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const file = await Deno.open(`${path}.lock`, { create: true, write: true });
    await file.lock(true);
    return file;
  } catch {
    return null; // keepEntries says why.
  }
}

/** Keeps entries; says why where it cannot. */
export async function keepEntries(path: string | null, entries: Entries): Promise<string | null> {
  if (path === null) return "there is no folder for caches (XDG_CACHE_HOME, HOME)";
  try {
    await writeAtomic(path, JSON.stringify(entries, null, 1) + "\n");
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What tells a file from the one that had its name before; null where it is no file. */
export function stampOf(library: string): string | null {
  try {
    const { size, mtime } = Deno.statSync(library);
    return `${size} bytes of ${mtime?.toISOString() ?? "unknown time"}`;
  } catch {
    return null;
  }
}
