// Text: the Brown corpus against what is published about it, plain text, vocabularies, splits and batches.
import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { random } from "../tensor/random.ts";
import { type Batch, trainingBatches, validationBatches } from "../data/batches.ts";
import { coarseTag, loadBrown, parseBrown, partsOfSpeech } from "../data/brown.ts";
import { findCorpus } from "../data/corpora.ts";
import type { Corpus } from "../data/corpus.ts";
import { prepare } from "../data/dataset.ts";
import { parsePlainText } from "../data/plain_text.ts";
import { buildVocabulary } from "../data/vocabulary.ts";

const brown = await loadBrown();
const dataset = prepare(brown, { vocabulary: 2048 });

Deno.test("Brown's sample is every tenth of its texts", async () => {
  const sample = await (await findCorpus("brown-sample")).words();
  assertEquals(sample.name, "brown-sample");
  assertEquals(sample.documents, brown.documents.filter((_, at) => at % 10 === 0));
});

Deno.test("Brown has its published size", () => {
  assertEquals(brown.documents.length, 500);
  assertEquals(new Set(brown.documents.map(({ name }) => name)).size, 500);
  const genres = Map.groupBy(brown.documents, ({ genre }) => genre);
  assertEquals(genres.size, 15);
  assertEquals(genres.get("learned")?.length, 80);
  assertEquals(genres.get("science fiction")?.length, 6);
  const words = brown.documents.flatMap(({ words }) => words);
  // NLTK counts 1,161,192 tokens in 57,340 sentences.
  assertEquals(words.filter((word) => word === "<end>").length, 57_340);
  assertEquals(words.length, 1_161_192 + 57_340);
  assert(brown.documents.every((text) => text.words.length === text.partsOfSpeech?.length));
  assert(words.every((word) => word !== "" && word === word.toLowerCase()));
});

Deno.test("Brown's first sentence reads and is tagged as published", () => {
  const [first] = brown.documents;
  assertEquals([first.name, first.genre], ["ca01", "news"]);
  const sentence = "the/DET fulton/NOUN county/NOUN grand/ADJ jury/NOUN said/VERB friday/NOUN an/DET " +
    "investigation/NOUN of/ADP atlanta's/NOUN recent/ADJ primary/NOUN election/NOUN produced/VERB ``/PUNCT no/DET " +
    "evidence/NOUN ''/PUNCT that/ADP any/DET irregularities/NOUN took/VERB place/NOUN ./PUNCT <end>/END";
  assertEquals(
    first.words.slice(0, 26).map((word, at) => `${word}/${first.partsOfSpeech?.[at]}`).join(" "),
    sentence,
  );
});

Deno.test("coarse tags count as in the published map", () => {
  const found = Object.fromEntries(partsOfSpeech.map((part) => [part, 0]));
  for (const text of brown.documents) for (const part of text.partsOfSpeech ?? []) found[part]++;
  // Classes without contractions have exactly the counts NLTK gives for tagset="universal".
  assertEquals(
    [found.ADP, found.PUNCT, found.CONJ, found.NUM, found.END],
    [144_766, 147_565, 38_151, 14_874, 57_340],
  );
  // The others differ by contractions ("it's"), which the map makes PRT: 29,829 there.
  const published = {
    NOUN: 275_558,
    VERB: 182_750,
    DET: 137_019,
    ADJ: 83_721,
    ADV: 56_239,
    PRON: 49_334,
    X: 1386,
  };
  let moved = 0;
  for (const [part, count] of Object.entries(published)) {
    assert(found[part] >= count - 2, `${part} ${found[part]}`);
    moved += found[part] - count;
  }
  assertEquals(found.PRT + moved, 29_829);
});

Deno.test("tags lose marks of place, foreign words are X, contractions count by their first part", () => {
  const cases = {
    "nn-tl-hl": "NOUN",
    "---hl": "PUNCT",
    "*-nc": "ADV",
    "bedz*": "VERB",
    "pp$": "DET",
    "pp$$": "PRON",
    "np$-tl": "NOUN",
    "fw-at+nn-tl": "X",
    "pps+bez": "PRON",
    "fw-in+at-t": "X",
    "nil": "X",
  };
  for (const [tag, part] of Object.entries(cases)) assertEquals(coarseTag(tag), part, tag);
  assertEquals(parseBrown("\n\n\t1/2/cd and/or/cc\n\n", "x", "news").words, ["1/2", "and/or", "<end>"]);
});

Deno.test("plain text is split into words, sentences and documents", () => {
  const corpus = parsePlainText("\uFEFFDon't  panic, it's 3.14!\r\n\r\n“Yes?” 日本", "note");
  assertEquals(corpus.name, "note");
  const words = corpus.documents.flatMap((text) => text.words);
  assertEquals(words.join(" "), "don't panic , it's 3.14 ! <end> “ yes ? ” <end> 日 本 <end>");
  assert(corpus.documents.every((text) => text.genre === null && text.partsOfSpeech === null));

  const paragraphs = Array.from(
    { length: 90 },
    (_, at) => `Paragraph number ${at} is here. It has two sentences.`,
  );
  const long = parsePlainText(paragraphs.join("\n\n"), "long");
  assertEquals(long.documents.length, 20);
  const lengths = long.documents.map((text) => text.words.length);
  assert(Math.max(...lengths) <= 2 * Math.min(...lengths), `${lengths}`);
  assertEquals(parsePlainText(paragraphs.join(" "), "one paragraph").documents.length, 20);
  assertEquals(parsePlainText(paragraphs.join("\n"), "lines").documents.length, 20);

  for (const empty of ["", " \n\n\t", "\uFEFF"]) {
    assertThrows(
      () => parsePlainText(empty, "nothing.txt"),
      RangeError,
      "Cannot train on nothing.txt: it holds no words",
    );
  }
});

Deno.test("a vocabulary goes from frequent to rare, ties by letters, and shrinks to what is there", () => {
  const [text] = parsePlainText("b b a a c d", "x").documents.slice(0, 1);
  const all = buildVocabulary([text], 100);
  assertEquals(all.words, ["<unknown>", "a", "b", "<end>", "c", "d"]);
  assertEquals(all.size, 6);
  assertEquals([...all.counts], [0, 2, 2, 1, 1, 1]);
  const small = buildVocabulary([text], 3);
  assertEquals([...small.counts], [3, 2, 2]);
  assertEquals(["a", "b", "c", "never"].map(small.idOf), [1, 2, 0, 0]);
  assertThrows(() => buildVocabulary([text], 1), RangeError, "1 words");
  assertThrows(() => buildVocabulary([text], 2.5), RangeError, "2.5");
});

Deno.test("the split holds out a tenth of every genre and keeps its words from the vocabulary", () => {
  assertEquals(dataset.genres.length, 15);
  const held = dataset.validation.length / (dataset.train.length + dataset.validation.length);
  assert(held > 0.09 && held < 0.115, `${held}`);
  assertEquals(new Set(dataset.genre).size, 15);
  assertEquals(dataset.train.length, dataset.countByToken.reduce((sum, count) => sum + count, 0));
  assertEquals(prepare(brown, { vocabulary: 2048 }).validation, dataset.validation);

  const documents = Array.from({ length: 10 }, (_, at) => ({
    name: `${at}`,
    genre: null,
    words: ["shared", `only${at}`],
    partsOfSpeech: null,
  }));
  const small = prepare({ name: "small", documents }, { vocabulary: 100 });
  assertEquals(small.validation.length, 2);
  assertEquals([...small.validation], [small.vocabulary.idOf("shared"), 0]);
  assertEquals(small.vocabulary.size, 1 + 1 + 9);
  assertEquals([...small.partOfSpeech, ...small.genre], [-1, -1, -1, -1]);
});

Deno.test("tags and genres lie beside the validation tokens", () => {
  const the = dataset.vocabulary.idOf("the");
  const end = dataset.vocabulary.idOf("<end>");
  const { validation, partOfSpeech, partsOfSpeech: names } = dataset;
  assertEquals(partOfSpeech.length, validation.length);
  assertEquals(dataset.genre.length, validation.length);
  const tagsOf = (word: number) =>
    new Set([...partOfSpeech].filter((_, at) => validation[at] === word).map((part) => names[part]));
  assert(tagsOf(the).has("DET"));
  assertEquals([...tagsOf(end)], ["END"]);
});

Deno.test("unigram perplexity is that of smoothed training frequencies", () => {
  const texts = ["a a a b", "a b"];
  const documents = texts.map((text, at) => ({
    name: `${at}`,
    genre: null,
    words: text.split(" "),
    partsOfSpeech: null,
  }));
  const { unigramPerplexity } = prepare({ name: "x", documents }, { vocabulary: 9 });
  // Training has a 3 times and b once, and three numbers in all: the one target, b, has 2 of 7.
  assertAlmostEquals(unigramPerplexity, 7 / 2, 1e-12);
});

/** A corpus whose words are 1, 2, 3, ... so that a window shows where it is from. */
function counting(words: number): Corpus {
  const all = Array.from({ length: words }, (_, at) => `${at}`.padStart(6, "0"));
  const half = [{ name: "train", words: all }, { name: "held out", words: all }];
  return { name: "counting", documents: half.map((text) => ({ ...text, genre: null, partsOfSpeech: null })) };
}

Deno.test("an epoch visits every window once, in an order of its own, and targets are the next tokens", () => {
  const numbers = prepare(counting(72), { vocabulary: 1000 });
  const shape = { batch: 2, length: 10 };
  assertEquals(Math.floor((numbers.train.length - 1) / shape.length), 7);
  const batches = Array.from(
    { length: 7 },
    (_, step) => trainingBatches(numbers, { ...shape, random: random(5) })(step),
  );
  for (const { tokenId, target } of batches) {
    assertEquals(
      [...target],
      [...tokenId].map((token) => token + 1),
    );
  }
  const starts = batches.flatMap(({ tokenId }) => [tokenId[0], tokenId[10]]).map((token) => (token - 1) / 10);
  const epochs = [starts.slice(0, 7), starts.slice(7)];
  for (const epoch of epochs) assertEquals([...epoch].sort(), [0, 1, 2, 3, 4, 5, 6]);
  assertNotEquals(epochs[0], epochs[1]);
});

Deno.test("a batch depends on stream and step alone", () => {
  const make = (seed: number, step: number): Batch =>
    trainingBatches(dataset, { batch: 4, length: 32, random: random(seed) })(step);
  const first = make(0, 9);
  make(1, 2);
  assertEquals(make(0, 9), first);
  assertNotEquals(make(1, 9).tokenId, first.tokenId);
  assertNotEquals(make(0, 10).tokenId, first.tokenId);
});

Deno.test("validation batches go through the text once, in order", () => {
  const batches = validationBatches(dataset, { batch: 7, length: 100 });
  const windows = Math.floor((dataset.validation.length - 1) / 100);
  assertEquals(batches.reduce((sum, batch) => sum + batch.windows, 0), windows);
  let at = 0;
  for (const batch of batches) {
    assertEquals(batch.start, at);
    assertEquals(batch.tokenId.length, batch.windows * 100);
    assertEquals(batch.tokenId, dataset.validation.slice(at, at + batch.tokenId.length));
    assertEquals(batch.target, dataset.validation.slice(at + 1, at + 1 + batch.tokenId.length));
    assertEquals(batch.partOfSpeech, dataset.partOfSpeech.slice(at, at + batch.tokenId.length));
    at += batch.tokenId.length;
  }
});

Deno.test("too little text is refused with the numbers", () => {
  const numbers = prepare(counting(12), { vocabulary: 100 });
  const shape = { batch: 1, length: 12 };
  const refused = "into windows of 12 tokens: its training text has 12, and at least 13 are needed";
  assertThrows(() => trainingBatches(numbers, { ...shape, random: random(0) }), RangeError, refused);
  assertThrows(() => validationBatches(numbers, shape), RangeError, "its validation text has 12");
  assertEquals(validationBatches(numbers, { batch: 3, length: 11 }).length, 1);
  assertThrows(() => validationBatches(numbers, { batch: 0, length: 5 }), RangeError, "0 windows");
  assertThrows(
    () => prepare(parsePlainText("One.", "one.txt"), { vocabulary: 9 }),
    RangeError,
    "one.txt: it has 1 doc",
  );
  assertThrows(() => prepare(brown, { vocabulary: 9, validationShare: 1 }), RangeError, "share of 1");
});
