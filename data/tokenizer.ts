// Published tokenizers: a tokenizer.json of Hugging Face's library, as text to ids and back. The package that does it is
// loaded with the first tokenizer; the rest of the framework sees the interface alone.
import { isMissing } from "../formats/files.ts";
import { readJson } from "../formats/json_file.ts";
import { loadPackage } from "../formats/packages.ts";

/** Whether special tokens (start, end, ...) are added, or kept. */
export interface SpecialOption {
  /** False when left out. */
  readonly special?: boolean;
}

/** What a tokenizer is made of. */
export interface TokenizerFiles {
  /** Content of its tokenizer.json. */
  readonly tokenizer: unknown;
  /** Content of the tokenizer_config.json beside it; {} where there is none. */
  readonly config: unknown;
}

/** Text to ids and back. */
export interface Tokenizer {
  /** What it was made of: a model that is saved takes it along. */
  readonly files: TokenizerFiles;
  /** Ids lie from 0 to below this: rows of an embedding. */
  readonly size: number;
  /** A token as the file writes it ("Ġthe" with the space that it begins with), or null where an id has none. */
  tokenOf(id: number): string | null;
  /** Id of a token as the file writes it, or null. */
  idOf(token: string): number | null;
  /**
   * Ids of a text. BPE without a token for the unknown leaves out what it does not know, as in every implementation of it.
   * @throws {RangeError} when other kinds have no token for a part of the text.
   */
  encode(text: string, options?: SpecialOption): Int32Array;
  /**
   * Text of ids; with `special`, special tokens stay in it.
   * @throws {RangeError} when an id is not one of the tokenizer's.
   */
  decode(ids: Iterable<number>, options?: SpecialOption): string;
}

/** What is used of the package; its own types would have to be fetched by whoever checks a program's. */
export interface TokenizerPackage {
  readonly Tokenizer: new (tokenizer: object, config: object) => PackageTokenizer;
}

interface PackageTokenizer {
  get_vocab(): Map<string, number>;
  id_to_token(id: number): string | undefined;
  token_to_id(token: string): number | undefined;
  encode(
    text: string,
    options: { add_special_tokens: boolean },
  ): { readonly ids: readonly number[]; readonly tokens: readonly string[] };
  decode(
    ids: number[],
    options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean },
  ): string;
}

/**
 * A tokenizer from what its files hold. It needs the npm package @huggingface/tokenizers, which is fetched then.
 * @param tokenizer Content of a tokenizer.json.
 * @param config Content of the tokenizer_config.json beside it, where there is one.
 * @param name What to call it in errors.
 * @throws {RangeError} when it is none, or of a kind that the package does not know.
 * @example
 * ```ts
 * import { createTokenizer } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const tokenizer = await createTokenizer({
 *   added_tokens: [],
 *   normalizer: null,
 *   pre_tokenizer: null,
 *   post_processor: null,
 *   decoder: { type: "Fuse" },
 *   model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
 * });
 * const ids = tokenizer.encode("abba");
 * assertEquals([tokenizer.size, [...ids], tokenizer.decode(ids)], [3, [2, 1, 0], "abba"]);
 * ```
 */
export async function createTokenizer(
  tokenizer: unknown,
  config: unknown = {},
  name = "tokenizer.json",
): Promise<Tokenizer> {
  const { Tokenizer } = await loadPackage<TokenizerPackage>("@huggingface/tokenizers");
  try {
    const cleans = (config as Record<string, unknown>).clean_up_tokenization_spaces === true;
    const library = new Tokenizer(tokenizer as object, config as object);
    return wrapped(library, { tokenizer, config }, cleans, name);
  } catch (cause) {
    throw new RangeError(`Cannot read tokenizer ${name}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * A tokenizer from its tokenizer.json, and from the tokenizer_config.json that may lie beside it.
 * @throws {RangeError} when it is none; {Error} when the file cannot be read.
 * @example
 * ```ts
 * import { openTokenizer } from "@switchyard/moe/training";
 * import { assertRejects } from "@std/assert";
 * await assertRejects(() => openTokenizer("no/tokenizer.json"), Error, "Cannot read no/tokenizer.json");
 * ```
 */
export async function openTokenizer(path: string): Promise<Tokenizer> {
  const tokenizer = await readJson(path);
  const beside = `${path.slice(0, path.lastIndexOf("/") + 1)}tokenizer_config.json`;
  return await createTokenizer(tokenizer, await isMissing(beside) ? {} : await readJson(beside), path);
}

/** @param cleans Whether decoding takes spaces before punctuation away. */
function wrapped(
  library: PackageTokenizer,
  files: TokenizerFiles,
  cleans: boolean,
  name: string,
): Tokenizer {
  let size = 0;
  for (const id of library.get_vocab().values()) size = Math.max(size, id + 1);
  const isId = (id: number | undefined) => Number.isInteger(id) && id! >= 0 && id! < size;
  return {
    files,
    size,
    tokenOf: (id) => library.id_to_token(id) ?? null,
    idOf: (token) => library.token_to_id(token) ?? null,
    encode(text, { special = false } = {}) {
      const { ids, tokens } = library.encode(text, { add_special_tokens: special });
      const wrong = ids.findIndex((id) => !isId(id));
      if (wrong < 0) return Int32Array.from(ids);
      const what = tokens[wrong] === undefined ? "a part of it" : JSON.stringify(tokens[wrong]);
      throw new RangeError(
        `Cannot encode a text with ${name}: it has no token for ${what}, and none for the unknown`,
      );
    },
    decode(ids, { special = false } = {}) {
      const all = [...ids];
      const wrong = all.find((id) => !isId(id));
      if (wrong !== undefined) {
        throw new RangeError(`Cannot decode token ${wrong} with ${name}: its tokens are 0 to ${size - 1}`);
      }
      // The package refuses to decode nothing.
      if (all.length === 0) return "";
      return library.decode(all, { skip_special_tokens: !special, clean_up_tokenization_spaces: cleans });
    },
  };
}
