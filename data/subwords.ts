// Text as the sub-words of a published tokenizer. Its ids are taken as they are, so that they are those of other programs
// with the same tokenizer.json.
import { joined } from "../tensor/joined.ts";
import type { Texts } from "./corpus.ts";
import type { Dataset } from "./dataset.ts";
import { cutAtEnds } from "./text_ends.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** UTF-16 units that are encoded at once: some tokenizers take a whole text for one word, and their time grows with it. */
const PIECE = 2 ** 14;

/**
 * Ids of a text without special tokens. A long text is encoded in pieces that end with a line, or before a space where a
 * line is too long, so that ids differ from those of the whole in no more than the few around each seam.
 */
export function encodeLong(tokenizer: Tokenizer, text: string): Int32Array {
  const pieces: Int32Array[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.length - at <= PIECE ? text.length : seamIn(text, at, at + PIECE);
    pieces.push(tokenizer.encode(text.slice(at, end)));
    at = end;
  }
  return joined(Int32Array, pieces);
}

/** Where a piece from `start` ends, at `limit` at the latest; never within a character. */
function seamIn(text: string, start: number, limit: number): number {
  const line = text.lastIndexOf("\n", limit - 1) + 1;
  if (line > start) return line;
  const space = text.lastIndexOf(" ", limit - 1);
  if (space > start) return space;
  return /[\uDC00-\uDFFF]/.test(text[limit]) ? limit - 1 : limit;
}

/**
 * Texts as a tokenizer's ids, one text after another and without special tokens; the last `validationShare` of each is held
 * out, 2^20 tokens of all at most.
 * @throws {RangeError} when there are no tokens to train on or none to hold out, or a text holds what the tokenizer has no
 * token for.
 * @example
 * ```ts
 * import { createTokenizer, prepareSubwords, textData } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const none = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
 * const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };
 * const tokenizer = await createTokenizer({ ...none, model });
 * const texts = [{ name: "one", genre: null, text: "abba".repeat(100) }];
 * const dataset = prepareSubwords({ name: "abba", texts }, tokenizer, 0.1);
 * assertEquals([...dataset.train.slice(0, 4)], [2, 1, 0, 2]); // ab, b, a, ab
 * assertEquals((await textData(dataset)).facts.vocabulary, 3);
 * ```
 */
export function prepareSubwords(
  { name, texts }: Texts,
  tokenizer: Tokenizer,
  validationShare: number,
): Dataset {
  const encoded = texts.map(({ genre, text }) => ({ genre, tokens: encodeLong(tokenizer, text) }));
  const words = Array.from({ length: tokenizer.size }, (_, id) => tokenizer.tokenOf(id) ?? `<${id}>`);
  return cutAtEnds(
    { name, texts: encoded, numbering: { unit: "sub-words", words, tokenizer } },
    validationShare,
  );
}
