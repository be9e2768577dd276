// Identifies what a task holds. SHA-256 over the arrays themselves, not over options: options that make the same
// examples give the same digest, and an edited file gives another.

/** What a digest is taken over. */
export type DigestPart = string | Int32Array | Float32Array;

/** SHA-256 of parts in order, in hexadecimal; each part goes in with its kind and length, so that none runs into the next. */
export async function digestOf(...parts: readonly DigestPart[]): Promise<string> {
  const text = new TextEncoder();
  const pieces = parts.flatMap((part) => {
    const bytes = typeof part === "string"
      ? text.encode(part)
      : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    const kind = typeof part === "string" ? "text" : part.constructor.name;
    return [text.encode(`${kind} ${bytes.length}\n`), bytes];
  });
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return hexadecimal(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
