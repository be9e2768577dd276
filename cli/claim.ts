// One command at a time works in a folder of results. A claim is a lock that the operating system gives back when the
// process ends, however it ends, so a claim never outlives its holder.
import { resolve } from "node:path";
import { reasonOf } from "../formats/files.ts";

const CLAIM = ".claim";

/** A folder held by this process until it ends or lets go. */
export interface Claim extends Disposable {
  readonly folder: string;
}

/**
 * Claims a folder, which is made where it is missing.
 * @param doing What the holder does, for whoever is refused: the command.
 * @throws {Error} when another process holds it, named with what it does, or the folder cannot be written to.
 */
export async function claimFor(folder: string, doing: string): Promise<Claim> {
  const path = resolve(folder, CLAIM);
  let made: string | undefined;
  try {
    made = await firstMissing(resolve(folder));
    await Deno.mkdir(folder, { recursive: true });
    for (;;) {
      const file = await Deno.open(path, { read: true, write: true, create: true });
      if (!await file.tryLock(true)) {
        file.close();
        throw new HeldError(folder, await Deno.readTextFile(path));
      }
      if (await isSame(file, path)) return hold(file, path, { folder, doing, made });
      // Its last holder took the file away between our opening and our locking it.
      file.close();
    }
  } catch (cause) {
    if (cause instanceof HeldError) throw cause;
    throw new Error(`Cannot write results to ${folder}: ${reasonOf(cause)}`, { cause });
  }
}

/** Another process works in the folder. */
class HeldError extends Error {
  constructor(folder: string, claim: string) {
    super(`Cannot write results to ${folder}: ${holder(claim)}; wait for it, or choose another --out`);
  }
}

function holder(claim: string): string {
  try {
    const { process, since, doing } = JSON.parse(claim);
    return `process ${process} has worked there since ${since} (${doing})`;
  } catch {
    return "another process has just begun there";
  }
}

/** The uppermost folder of a path that is not there yet. */
async function firstMissing(folder: string): Promise<string | undefined> {
  let missing: string | undefined;
  for (let at = folder; !await isThere(at); at = resolve(at, "..")) missing = at;
  return missing;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function isSame(file: Deno.FsFile, path: string): Promise<boolean> {
  try {
    const [own, there] = [await file.stat(), await Deno.stat(path)];
    return own.ino === there.ino && own.dev === there.dev;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function hold(
  file: Deno.FsFile,
  path: string,
  { folder, doing, made }: { folder: string; doing: string; made: string | undefined },
): Promise<Claim> {
  await file.truncate(0);
  const since = new Date().toISOString();
  await file.write(new TextEncoder().encode(JSON.stringify({ process: Deno.pid, since, doing }) + "\n"));
  let isHeld = true;
  const release = () => {
    if (!isHeld) return;
    isHeld = false;
    // Taken away while it is still locked: whoever locks it next sees that it is gone.
    removeIfEmpty(path);
    file.close();
    removeMade(resolve(folder), made);
  };
  // Deno.exit, too, is heard of.
  globalThis.addEventListener("unload", release, { once: true });
  return { folder, [Symbol.dispose]: release };
}

function removeIfEmpty(path: string): boolean {
  try {
    Deno.removeSync(path);
    return true;
  } catch {
    return false; // it holds results, or somebody else took it away
  }
}

/** Takes away folders that were made for the claim and hold nothing. */
function removeMade(folder: string, made: string | undefined): void {
  if (made === undefined) return;
  for (let at = folder; at.length >= made.length; at = resolve(at, "..")) {
    if (!removeIfEmpty(at)) return;
  }
}
