// Files, as the framework reads and writes them; ranges of large ones are read by file_on_disk.ts. A file is written beside
// its place and then renamed, so a run stopped at any moment leaves the old file or the new one, never half of one.

const PROBE_BYTES = 256 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

/** Says in a few words why the system refused. */
export function reasonOf(error: unknown): string {
  if (!("Deno" in globalThis)) return "only Deno has files, and this is a browser or another runtime";
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno was not permitted to";
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotADirectory) return "part of the path is a file, not a folder";
  if (error instanceof Deno.errors.AlreadyExists) return "a file of that name is in the way";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  if (error instanceof Deno.errors.NotFound) return "no such file or folder";
  switch ((error as { code?: string }).code) {
    case "ENOSPC":
      return "no space left on the disk";
    case "EDQUOT":
      return "the disk quota is used up";
    case "EROFS":
      return "the disk is read-only";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** Told by name, so that this can be asked where there is no Deno. */
function isNamed(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** A file's path, of a path or a file's address. */
export function pathOf(path: string | URL): string {
  return path instanceof URL && path.protocol === "file:" ? decodeURIComponent(path.pathname) : String(path);
}

/** Writes pieces to a file until the disk has them; takes the file away again when that fails. */
async function writeThrough(
  path: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = await Deno.open(path, { write: true, create: true, truncate: true });
  try {
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at, at + CHUNK_BYTES));
    }
    await file.sync();
  } catch (error) {
    file.close();
    await Deno.remove(path).catch(() => {});
    throw error;
  }
  file.close();
}

/**
 * Puts a file in its place whole or not at all.
 * @param contents All of it, or pieces in order, each written before the next is asked for.
 * @throws {Error} when the file cannot be written or a piece cannot be had, saying why; nothing is left behind then.
 */
export async function writeAtomic(
  path: string | URL,
  contents: Uint8Array | string | AsyncIterable<Uint8Array>,
): Promise<void> {
  const place = pathOf(path);
  const cut = place.lastIndexOf("/") + 1;
  const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
  try {
    // Two writers of one file, in one program too, each have a part of their own.
    const writer = `${Deno.pid}.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    const partial = `${place.slice(0, cut)}.${place.slice(cut)}.${writer}.partial`;
    await writeThrough(partial, bytes instanceof Uint8Array ? [bytes] : bytes);
    try {
      await Deno.rename(partial, place);
    } catch (error) {
      await Deno.remove(partial).catch(() => {});
      throw error;
    }
  } catch (cause) {
    throw new Error(`Cannot write ${place}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Writes behind a file's first `length` bytes until the disk has it; what was there is cut off. The file is made where
 * there is none.
 * @throws {Error} when it cannot be written, saying why; the file then ends after `length` bytes.
 */
export async function appendAt(path: string, length: number, bytes: Uint8Array): Promise<void> {
  try {
    using file = await Deno.open(path, { write: true, create: true });
    await file.truncate(length);
    try {
      await file.seek(length, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
    } catch (error) {
      await file.truncate(length);
      throw error;
    }
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Gives a file another name, in place of what has it.
 * @throws {Error} when the system refuses, saying why.
 */
export async function rename(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (cause) {
    throw new Error(`Cannot write ${to}: ${reasonOf(cause)}`, { cause });
  }
}

/** Zeros, a chunk at a time, so that a large probe needs little memory. */
function* zeros(bytes: number): Iterable<Uint8Array> {
  const chunk = new Uint8Array(Math.min(bytes, CHUNK_BYTES));
  for (let left = bytes; left > 0; left -= chunk.length) {
    yield chunk.subarray(0, Math.min(left, chunk.length));
  }
}

/**
 * Makes a folder ready for results, before work is spent on them: it is created where missing, and a file of
 * `neededBytes` (at most 256 MiB) is written to it and taken away.
 * @throws {Error} when the folder cannot be made or written to, or has too little room.
 */
export async function prepareFolder(path: string | URL, neededBytes: number): Promise<void> {
  const folder = pathOf(path).replace(/(?<=.)\/+$/, "");
  const probe = `${folder}/.probe.${Deno.pid}.partial`;
  try {
    await Deno.mkdir(folder, { recursive: true });
    await writeThrough(probe, zeros(Math.min(neededBytes, PROBE_BYTES)));
    await Deno.remove(probe);
  } catch (cause) {
    const size = (neededBytes / 2 ** 20).toFixed(1);
    throw new Error(`Cannot write results to ${folder}: ${reasonOf(cause)} (needs ${size} MiB)`, { cause });
  }
}

/**
 * Checks that a folder can be written to, or made, without leaving anything: an empty file is written where the path
 * begins to be missing, and taken away.
 * @throws {Error} when it cannot, saying why.
 */
export async function checkWritable(path: string): Promise<void> {
  let there = path.replace(/(?<=.)\/+$/, "");
  while (await isMissing(there)) there = /\//.test(there) ? there.replace(/\/[^/]*$/, "") || "/" : ".";
  const probe = `${there}/.probe.${Deno.pid}.partial`;
  try {
    await writeThrough(probe, []);
    await Deno.remove(probe);
  } catch (cause) {
    throw new Error(`Cannot write results to ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Makes a folder where nothing is yet; false when something is. Of two programs that try at once, one gets it.
 * @throws {Error} when the system refuses, saying why.
 */
export async function claimFolder(path: string): Promise<boolean> {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  try {
    if (parent !== "") await Deno.mkdir(parent, { recursive: true });
    await Deno.mkdir(path);
    return true;
  } catch (cause) {
    if (cause instanceof Deno.errors.AlreadyExists && !await isMissing(path)) return false;
    throw new Error(`Cannot write results to ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Reads a whole file.
 * @throws {Error} when the file cannot be read, saying why.
 */
export async function readBytes(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new Error(`Cannot read ${pathOf(path)}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Reads a whole file as text.
 * @throws {Error} when the file cannot be read or is not UTF-8 text.
 */
export async function readText(path: string | URL): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`Cannot read ${pathOf(path)}: it is not UTF-8 text`, { cause });
  }
}

/** True when nothing is at `path`. */
export async function isMissing(path: string | URL): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (cause) {
    if (isNamed(cause, "NotFound", "NotADirectory")) return true;
    throw new Error(`Cannot look at ${pathOf(path)}: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * Paths of the files in a folder and its sub-folders, from the folder, in order of their letters; null when `path` is no
 * folder. Names that start with a dot are left out.
 * @throws {Error} when the folder cannot be read, saying why.
 */
export async function filesUnder(path: string): Promise<string[] | null> {
  try {
    if (!(await Deno.stat(path)).isDirectory) return null;
    const found: string[] = [];
    for await (const { name, isDirectory } of Deno.readDir(path)) {
      if (name.startsWith(".")) continue;
      const inside = isDirectory ? await filesUnder(`${path}/${name}`) : null;
      found.push(...inside?.map((file) => `${name}/${file}`) ?? [name]);
    }
    return found.sort();
  } catch (cause) {
    throw new Error(`Cannot read the folder ${path}: ${reasonOf(cause)}`, { cause });
  }
}

/** Removes a file if it is there. */
export async function removeIfThere(path: string | URL): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (cause) {
    if (isNamed(cause, "NotFound")) return;
    throw new Error(`Cannot remove ${pathOf(path)}: ${reasonOf(cause)}`, { cause });
  }
}

/** Removes what a killed program left half-written in a folder. */
export async function removePartial(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (/^\..+\.\d+\.partial$/.test(name)) await removeIfThere(`${folder}/${name}`);
  }
}
