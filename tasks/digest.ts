// Identifies what a task holds. SHA-256 over the arrays themselves, not over options: options that make the same
// examples give the same digest, and an edited file gives another.

/** What a digest is taken over. */
export type DigestPart = string | Int32Array | Float32Array;

function bytesOf(part: DigestPart | Uint8Array): Uint8Array {
  if (typeof part === "string") return new TextEncoder().encode(part);
  return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
}

/** What goes in before a part, so that none runs into the next. */
function headOf(kind: string, bytes: number): Uint8Array {
  return new TextEncoder().encode(`${kind} ${bytes}\n`);
}

function kindOf(part: DigestPart): string {
  return typeof part === "string" ? "text" : part.constructor.name;
}

/**
 * SHA-256 of parts in order, in hexadecimal; each part goes in with its kind and length, so that none runs into the next.
 * @example
 * ```ts
 * import { digestOf } from "@switchyard/moe";
 * import { assert, assertEquals } from "@std/assert";
 * const digest = await digestOf("squares", Float32Array.of(0, 1, 4));
 * assertEquals(digest.length, 64);
 * assert(digest !== await digestOf("squares", Float32Array.of(0, 1), Float32Array.of(4)));
 * ```
 */
export async function digestOf(...parts: readonly DigestPart[]): Promise<string> {
  const pieces = parts.flatMap((part) => {
    const bytes = bytesOf(part);
    return [headOf(kindOf(part), bytes.length), bytes];
  });
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return hexadecimal(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
}

/** The same digest, of parts that come one after another or in pieces. */
export interface RunningDigest {
  add(part: DigestPart): void;
  /** Begins an Int32Array of `length` values, whose values follow in pieces. */
  begin(length: number): void;
  piece(values: Int32Array | Uint8Array): void;
  /** Of what was added so far; more may follow. */
  soFar(): string;
  hexadecimal(): string;
}

/** What is used of Node's module. */
interface NodeCrypto {
  createHash(name: "sha256"): NodeHash;
}

interface NodeHash {
  update(bytes: Uint8Array): NodeHash;
  copy(): NodeHash;
  digest(encoding: "hex"): string;
}

/**
 * A digest to add to. The browser's own takes all bytes at once; this one is of Node's modules, which Deno, Node and Bun
 * have and which no bundle for a browser should look for.
 * @throws {Error} where there are none.
 */
export function runningDigest(): RunningDigest {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  const crypto = process?.getBuiltinModule?.("node:crypto") as NodeCrypto | undefined;
  if (!crypto) {
    throw new Error(
      "Cannot digest a file in pieces: this engine has no node:crypto, which stores of runs and texts on disk need",
    );
  }
  const hash = crypto.createHash("sha256");
  return {
    add(part) {
      const bytes = bytesOf(part);
      hash.update(headOf(kindOf(part), bytes.length)).update(bytes);
    },
    begin: (length) => void hash.update(headOf("Int32Array", 4 * length)),
    piece: (values) => void hash.update(bytesOf(values)),
    soFar: () => hash.copy().digest("hex"),
    hexadecimal: () => hash.digest("hex"),
  };
}

function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
