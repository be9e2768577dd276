// Text as bytes: no words to choose, nothing outside the vocabulary, every script alike.
import type { Texts } from "./corpus.ts";
import type { Dataset } from "./dataset.ts";
import { cutAtEnds } from "./text_ends.ts";

/** What a byte is called: the ASCII character it stands for, or its value. */
function nameOf(byte: number): string {
  return byte > 32 && byte < 127 ? String.fromCharCode(byte) : `0x${byte.toString(16).padStart(2, "0")}`;
}

/** Names of the bytes, by value. */
export function byteNames(): string[] {
  return Array.from({ length: 256 }, (_, byte) => nameOf(byte));
}

/**
 * Texts as numbered UTF-8 bytes, one text after another; the last `validationShare` of each is held out, 1 MiB of all at
 * most.
 * @throws {RangeError} when there are no bytes to train on or none to hold out.
 */
export function prepareBytes({ name, texts }: Texts, validationShare: number): Dataset {
  const encoder = new TextEncoder();
  const encoded = texts.map(({ genre, text }) => ({ genre, tokens: encoder.encode(text) }));
  return cutAtEnds(
    { name, texts: encoded, numbering: { unit: "bytes", words: byteNames() } },
    validationShare,
  );
}
