// Text to tokens and back, for models that were trained on text. Words lose their case and their spaces in training; what
// comes back is spaced by punctuation alone. Bytes come back as they were, sub-words as their tokenizer has it.
import { END } from "./corpus.ts";
import { UNSPACED, wordsOfPrompt } from "./plain_text.ts";
import { encodeLong } from "./subwords.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * Tokens of a text. Words outside the vocabulary are number 0, `<unknown>`; a sentence that ends is followed by `<end>`.
 * @example
 * ```ts
 * import { buildVocabulary, encodeText, parsePlainText } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const vocabulary = buildVocabulary(parsePlainText("A cat sat. A cat ran.", "cats").documents, 9);
 * const words = [...encodeText("A cat", vocabulary)].map((id) => vocabulary.words[id]);
 * assertEquals(words, ["a", "cat"]);
 * assertEquals([...encodeText("dog", vocabulary)], [0]);
 * ```
 */
export function encodeText(text: string, { unit, idOf, tokenizer }: Vocabulary): Int32Array {
  if (tokenizer) return encodeLong(tokenizer, text);
  if (unit === "bytes") return Int32Array.from(new TextEncoder().encode(text));
  return Int32Array.from(wordsOfPrompt(text), (word) => idOf(word));
}

/** Makes text of tokens as they come. */
export interface TextDecoding {
  /** What the next token adds to the text; nothing while a character's bytes are not complete. */
  next(tokenId: number): string;
  /** What is left at the end: a mark where the last character is not complete. */
  end(): string;
}

// Before the first of these and after the second, no space is written.
const CLOSES = /^(?:[.,;:!?%)\]}…。、，！？”’]|'')/u;
const OPENS = /^(?:[([{“‘]|``)$/u;
const ALONE = new RegExp(`^${UNSPACED}`, "u");

/**
 * Text of tokens, token by token: of bytes the UTF-8 text, of sub-words what their tokenizer makes, of words with spaces between, none before a full stop or comma,
 * and a line for each `<end>`.
 * @example
 * ```ts
 * import { decodeText, parsePlainText, prepare } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const { vocabulary } = prepare(parsePlainText("A cat sat. ".repeat(30), "cats"), { vocabulary: 9 });
 * const decoding = decodeText(vocabulary);
 * const text = ["a", "cat", "sat", ".", "<end>", "a"].map((word) => decoding.next(vocabulary.idOf(word)));
 * assertEquals(text.join("") + decoding.end(), "a cat sat.\na");
 * ```
 */
export function decodeText({ unit, words, tokenizer }: Vocabulary): TextDecoding {
  if (tokenizer) return decodeSubwords(tokenizer);
  if (unit === "bytes") {
    const decoder = new TextDecoder();
    return {
      next: (tokenId) => decoder.decode(Uint8Array.of(tokenId), { stream: true }),
      end: () => decoder.decode(),
    };
  }
  // As after a line's end: no space comes first.
  let before = END;
  return {
    next(tokenId) {
      const word = words[tokenId];
      const joined = word === END || before === END || CLOSES.test(word) || OPENS.test(before) ||
        ALONE.test(word) && ALONE.test(before);
      before = word;
      return `${joined ? "" : " "}${word === END ? "\n" : word}`;
    },
    end: () => "",
  };
}

/** What a token adds may depend on those before it, so all are decoded each time; half a character waits for its rest. */
function decodeSubwords(tokenizer: Tokenizer): TextDecoding {
  const ids: number[] = [];
  let shown = "";
  const added = (text: string) => {
    const piece = text.slice(shown.length);
    shown += piece;
    return piece;
  };
  return {
    next(tokenId) {
      ids.push(tokenId);
      return added(tokenizer.decode(ids).replace(/\uFFFD+$/, ""));
    },
    end: () => added(tokenizer.decode(ids)),
  };
}
