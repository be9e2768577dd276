// A disk that fills up at a write, for tests of what is left behind then.

/** Lets `writes` writes to files through, then half of one; all after that fail as on a full disk. Undone by the result. */
export function fillDiskAfter(writes: number): { readonly undo: () => void; readonly left: () => number } {
  const whole = Deno.FsFile.prototype.write;
  let left = writes;
  Deno.FsFile.prototype.write = async function (this: Deno.FsFile, bytes: Uint8Array): Promise<number> {
    if (left > 0) {
      left--;
      return await whole.call(this, bytes);
    }
    if (left === 0) await whole.call(this, bytes.subarray(0, bytes.length >> 1));
    left = -1;
    throw Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  };
  return { undo: () => void (Deno.FsFile.prototype.write = whole), left: () => left };
}
