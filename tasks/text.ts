// Language modelling over any corpus: what the plugins language and languages share, which differ in their defaults.
// Windows, their order and what is held out are those of data/; nothing about them is decided here.
import * as z from "zod";
import { trainingBatches, validationBatches } from "../data/batches.ts";
import { prepareBytes } from "../data/bytes.ts";
import { openBytes } from "../data/bytes_on_disk.ts";
import { corpora, type CorpusSource, findCorpus, type TextFile } from "../data/corpora.ts";
import { type Dataset, prepare, type Tokens } from "../data/dataset.ts";
import { prepareSubwords } from "../data/subwords.ts";
import { openTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { isMissing } from "../formats/files.ts";
import { digestOf, runningDigest } from "./digest.ts";
import type { TaskData } from "./task.ts";
import type { OptionsSchema } from "../tensor/plugins.ts";

const WORDS = 4096;
/** Bytes of a text on disk that are read whole: as words they take 1.5 GB at their most, as bytes 1.1 GB. */
const MOST_IN_MEMORY = 64 * 2 ** 20;

/** Options of a task of text. */
export interface TextOptions {
  readonly corpus: string;
  /** "words", "bytes", or the path of a tokenizer.json: then its sub-words. */
  readonly unit: string;
  readonly vocabulary: number | null;
  readonly validationShare: number;
}

/** Their schema, with the defaults of a task. */
export function textOptions(defaults: Omit<TextOptions, "vocabulary">): OptionsSchema<TextOptions> {
  const names = corpora.map(({ name }) => name).join(", ");
  return z.strictObject({
    corpus: z.string().min(1).default(defaults.corpus).describe(
      `${names}, or the path of a text or of a folder of texts`,
    ),
    unit: z.string().min(1).default(defaults.unit).describe(
      "what a token is: words, bytes, or the path of a tokenizer.json for its sub-words",
    ),
    vocabulary: z.int().min(2).nullable().default(null).describe(
      `most words to number, the unknown one included, or most tokens of a tokenizer; null = ${WORDS} words, ` +
        "any tokenizer; bytes are 256",
    ),
    validationShare: z.number().gt(0).lt(1).default(defaults.validationShare).describe(
      "share held out: of each genre's documents (words), or of each text's end (2^20 tokens in all at most)",
    ),
  });
}

/**
 * Loads a corpus as a task: say the next token.
 * @param mostInMemory Bytes of text on disk past which it is read by range; the same content is the same task either way.
 */
export async function loadText(options: TextOptions, mostInMemory = MOST_IN_MEMORY): Promise<TaskData> {
  return await loadSource(await findCorpus(options.corpus), options, mostInMemory);
}

/** The same of a corpus that has been found. */
export async function loadSource(
  source: CorpusSource,
  options: TextOptions,
  mostInMemory = MOST_IN_MEMORY,
): Promise<TaskData> {
  const { corpus, unit, vocabulary, validationShare } = options;
  if (unit === "bytes" && vocabulary !== null) {
    throw new RangeError(
      `Cannot number ${vocabulary} words of ${corpus}: its unit is bytes; choose words, or vocabulary null`,
    );
  }
  const isWords = unit === "words";
  const tokenizer = isWords || unit === "bytes" ? null : await tokenizerAt(options);
  const size = source.files?.reduce((sum, { file }) => sum + file.bytes, 0) ?? 0;
  if (size > mostInMemory) {
    if (unit === "bytes") return await loadFromDisk(corpus, source.files!, validationShare);
    const tokens = isWords ? "words" : "sub-words";
    throw new RangeError(
      `Cannot cut ${corpus} into ${tokens}: it has ${size} bytes, and ${tokens} are held in memory, which is done up ` +
        `to ${mostInMemory} bytes; choose unit bytes, with vocabulary null`,
    );
  }
  if (isWords) {
    const words = await source.words();
    const dataset = prepare(words, { vocabulary: vocabulary ?? WORDS, validationShare });
    return await textData(dataset, words.genresAre);
  }
  const texts = await source.texts();
  const dataset = tokenizer
    ? prepareSubwords(texts, tokenizer, validationShare)
    : prepareBytes(texts, validationShare);
  return await textData(dataset, texts.genresAre);
}

/** The tokenizer that a unit is the path of. @throws {RangeError} when there is none, or it has too many tokens. */
async function tokenizerAt({ corpus, unit, vocabulary }: TextOptions): Promise<Tokenizer> {
  if (await isMissing(unit)) {
    throw new RangeError(
      `Cannot cut ${corpus} into "${unit}": there are "words", "bytes", and no file of that name; give the path of a ` +
        "tokenizer.json for its sub-words",
    );
  }
  const tokenizer = await openTokenizer(unit);
  if (vocabulary === null || tokenizer.size <= vocabulary) return tokenizer;
  throw new RangeError(
    `Cannot number the tokens of ${unit}: it has ${tokenizer.size}, and vocabulary allows ${vocabulary}; choose a ` +
      `vocabulary of ${tokenizer.size}, or null`,
  );
}

/** One pass counts, checks and digests; training examples are read when they are asked for. */
async function loadFromDisk(
  corpus: string,
  files: readonly TextFile[],
  validationShare: number,
): Promise<TaskData> {
  const text = openBytes(corpus, files, validationShare);
  const digest = runningDigest();
  digest.add(contentOf({ ...text, partsOfSpeech: [] }));
  digest.begin(text.train.length);
  const dataset = await text.read(digest.piece);
  for (const part of [dataset.validation, dataset.partOfSpeech, dataset.genre]) digest.add(part);
  return taskOf(dataset, "folder", digest.hexadecimal());
}

/** What a digest says of a dataset beside its arrays. */
function contentOf(
  { name, words, partsOfSpeech, genres }: Pick<Dataset, "name" | "partsOfSpeech" | "genres"> & {
    readonly words: readonly string[];
  },
): string {
  return JSON.stringify([name, words, partsOfSpeech, genres]);
}

/**
 * A prepared corpus as a task's data.
 * @param genresAre What its genres are, in the singular.
 * @example
 * ```ts
 * import { parsePlainText, prepare, textData } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const dataset = prepare(parsePlainText("A cat sat. ".repeat(200), "cats"), { vocabulary: 100 });
 * const data = await textData(dataset);
 * assertEquals([data.name, data.nameOf(1), data.facts.vocabulary], ["cats", ".", 6]);
 * ```
 */
export async function textData(dataset: Dataset, genresAre = "genre"): Promise<TaskData> {
  const { vocabulary: { words }, train, validation, partOfSpeech, genre } = dataset;
  const digest = await digestOf(contentOf({ ...dataset, words }), train, validation, partOfSpeech, genre);
  return taskOf(dataset, genresAre, digest);
}

function taskOf(dataset: Dataset<Tokens>, genresAre: string, digest: string): TaskData {
  const { vocabulary, train, validation, partsOfSpeech, genres } = dataset;
  const labels = [
    { name: "part of speech", names: partsOfSpeech, label: "partOfSpeech" },
    { name: genresAre, names: genres, label: "genre" },
  ] as const;
  const known = labels.filter(({ names }) => names.length > 0);
  return {
    name: dataset.name,
    digest,
    input: { kind: "tokens", V: vocabulary.size, tokenCount_V: dataset.countByToken },
    output: { kind: "tokens" },
    labels: known.map(({ name, names }) => ({ name, names })),
    facts: {
      "training tokens": train.length,
      "validation tokens": validation.length,
      vocabulary: vocabulary.size,
    },
    references: [{ name: "unigram", loss: Math.log(dataset.unigramPerplexity) }],
    vocabulary,
    nameOf: (tokenId) => vocabulary.words[tokenId] ?? null,
    trainingExamples(shape) {
      const batchOf = trainingBatches(dataset, shape);
      const lengths = new Array<number>(shape.batch).fill(shape.length);
      return (step) => ({ ...batchOf(step), lengths });
    },
    evaluationExamples: (shape) =>
      validationBatches(dataset, shape).map((batch) => ({
        tokenId: batch.tokenId,
        target: batch.target,
        lengths: new Array<number>(batch.windows).fill(shape.length),
        labels: known.map(({ label }) => batch[label]),
      })),
    bestRouting: null,
  };
}
