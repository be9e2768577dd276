// Published tokenizers: ids, texts and conversations as Rust and Python give them (tests/oracles/tokenizers), tasks that
// train on sub-words, and what is refused.
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import * as jinja from "@huggingface/jinja";
import * as library from "@huggingface/tokenizers";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { createChatTemplate, openChatTemplate, type TemplatePackage } from "../data/chat_template.ts";
import { packages } from "../formats/packages.ts";
import { encodeLong, prepareSubwords } from "../data/subwords.ts";
import { createTokenizer, openTokenizer, type Tokenizer, type TokenizerPackage } from "../data/tokenizer.ts";
import { language } from "../tasks/language.ts";
import { parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { loadText } from "../tasks/text.ts";
import { random } from "../tensor/random.ts";
import { parseRecord } from "../training/record_text.ts";
import { assertRefused, experiments, experimentsFrom, inFolder, succeed } from "./experiments_command.ts";

interface Expected {
  readonly vocab_size: number;
  readonly probes: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly tokens: readonly string[];
    readonly ids_without_special: readonly number[];
    readonly decoded: string;
    readonly decoded_with_special: string;
  }[];
  readonly chat: {
    readonly messages: readonly { readonly role: string; readonly content: string }[];
    readonly rendered: string;
    readonly rendered_with_generation_prompt: string;
  };
}

const folder = fileURLToPath(new URL("oracles/tokenizers", import.meta.url));
const names = ["byte-bpe", "unigram", "byte-fallback-bpe"] as const;
const pathOf = (name: string) => `${folder}/${name}/tokenizer.json`;
const expectedOf = (name: string): Expected =>
  JSON.parse(Deno.readTextFileSync(`${folder}/${name}/expected.json`));
const [bytes, unigram, fallback] = await Promise.all(names.map((name) => openTokenizer(pathOf(name))));

Deno.test("packages are loaded at the versions that deno.json names, and have the shape we use", () => {
  for (const [name, version] of Object.entries(packages)) {
    assertEquals(config.imports[name as keyof typeof config.imports], `npm:${name}@${version}`);
  }
  const shapes: [TokenizerPackage, TemplatePackage] = [library, jinja];
  assertEquals(shapes.length, 2);
});

for (const name of names) {
  Deno.test(`${name}: texts become the ids that Rust gives, and ids its texts`, async () => {
    const tokenizer = await openTokenizer(pathOf(name));
    const { probes, vocab_size } = expectedOf(name);
    assertEquals(tokenizer.size, vocab_size);
    assert(probes.length === 11);
    for (const { text, ids, tokens, ids_without_special, decoded, decoded_with_special } of probes) {
      assertEquals([...tokenizer.encode(text, { special: true })], ids, text);
      assertEquals([...tokenizer.encode(text)], ids_without_special, text);
      assertEquals(tokenizer.decode(ids), decoded, text);
      assertEquals(tokenizer.decode(ids, { special: true }), decoded_with_special, text);
      // Rust shows what it does not know as it is in the text.
      const known = ids.map((id, at) => id === tokenizer.idOf("<unk>") ? "<unk>" : tokens[at]);
      assertEquals(ids.map(tokenizer.tokenOf), known);
      assertEquals(known.map(tokenizer.idOf), [...ids]);
    }
  });

  Deno.test(`${name}: a conversation is laid out as Python does it`, async () => {
    const template = await openChatTemplate(`${folder}/${name}`);
    const { messages, rendered, rendered_with_generation_prompt } = expectedOf(name).chat;
    assertEquals(template.render(messages), rendered);
    assertEquals(template.render(messages, { addGenerationPrompt: true }), rendered_with_generation_prompt);
    assertThrows(
      () => template.render([{ role: "oracle", content: "" }]),
      RangeError,
      "Cannot render a chat template: unknown role oracle",
    );
  });
}

Deno.test("what a tokenizer does not have is refused by name", async () => {
  assertThrows(() => bytes.decode([3, 320]), RangeError, "Cannot decode token 320 with");
  assertThrows(() => bytes.decode([-1]), RangeError, "its tokens are 0 to 319");
  assertEquals([bytes.decode([]), bytes.tokenOf(320), bytes.idOf("no such token")], ["", null, null]);
  const model = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] };
  const rest = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
  };
  assertEquals([...(await createTokenizer({ ...rest, model })).encode("abcab")], [2, 2]);
  const unknown = async (model: unknown, what: string) => {
    const tokenizer = await createTokenizer({ ...rest, model }, {}, "ab.json");
    const message =
      `Cannot encode a text with ab.json: it has no token for ${what}, and none for the unknown`;
    assertThrows(() => tokenizer.encode("abc"), RangeError, message);
  };
  await unknown({ type: "Unigram", vocab: [["a", -1], ["b", -1]] }, '"c"');
  await unknown({ type: "WordPiece", vocab: { a: 0, b: 1 } }, "a part of it");
  const broken: readonly (readonly [content: unknown, why: string])[] = [
    [{}, 'Tokenizer must contain a "model" property'],
    [[], "Tokenizer must be a valid object"],
    [null, "Tokenizer must be a valid object"],
    [{ ...rest, model: { type: "Oracle" } }, "Unknown TokenizerModel type: Oracle"],
    [{ ...rest, model, decoder: { type: "Oracle" } }, "Unknown Decoder type: Oracle"],
  ];
  for (const [content, why] of broken) {
    await assertRejects(
      () => createTokenizer(content, {}, "x.json"),
      RangeError,
      `Cannot read tokenizer x.json: ${why}`,
    );
  }
});

Deno.test("files that are no tokenizer are refused in one sentence", () =>
  inFolder(async (place) => {
    await Deno.writeTextFile(`${place}/cut.json`, '{"model": ');
    await assertRejects(
      () => openTokenizer(`${place}/cut.json`),
      RangeError,
      `Cannot read ${place}/cut.json: it holds no JSON`,
    );
    await Deno.writeFile(`${place}/spiece.model`, Uint8Array.of(10, 14, 255, 254));
    await assertRejects(() => openTokenizer(`${place}/spiece.model`), Error, "it is not UTF-8 text");
    await assertRejects(() => openTokenizer(place), Error, "it is a folder");
  }));

Deno.test("templates: special tokens of a config, named ones, a file of its own, variables, and none", async () => {
  const source = "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}{{ year }}";
  const tokens = { bos_token: { content: "<s>" }, eos_token: "</s>", pad_token: null };
  const named = [{ name: "tool_use", template: "no" }, { name: "default", template: source }];
  const variables = { year: 2026 };
  for (const chat_template of [source, named]) {
    const template = await createChatTemplate({ ...tokens, chat_template });
    assertEquals(template.render([{ role: "user", content: "Hi" }], { variables }), "<s>Hi</s>2026");
  }
  const none = "Cannot read a chat template: the config needs chat_template, and has ";
  await assertRejects(() => createChatTemplate({}), RangeError, `${none}none`);
  await assertRejects(
    () => createChatTemplate({ chat_template: named.slice(0, 1) }),
    RangeError,
    `${none}"tool_use"`,
  );
  await assertRejects(
    () => createChatTemplate({ chat_template: "{% for %}" }),
    RangeError,
    "Cannot read a chat template: ",
  );
  await inFolder(async (place) => {
    await Deno.writeTextFile(`${place}/tokenizer_config.json`, JSON.stringify({ chat_template: "no" }));
    await Deno.writeTextFile(`${place}/chat_template.jinja`, "{{ messages[0].role }}");
    assertEquals((await openChatTemplate(place)).render([{ role: "user", content: "Hi" }]), "user");
  });
});

/** A long text in several scripts with lines of every length, some without a space. */
function longText(): string {
  const parts = expectedOf("byte-bpe").probes.map(({ text }) => text.replaceAll("<|end|>", "end"));
  const draws = random(3).uniform(6000);
  const lines = Array.from(
    { length: 3000 },
    (_, at) => parts[Math.floor(draws[at] * parts.length)] + (draws[3000 + at] < 0.5 ? "\n" : " "),
  );
  return `${lines.join("")}${"🚂".repeat(20_000)}x${"🚃".repeat(20_000)}${"word ".repeat(10_000)}`;
}

Deno.test("a long text is encoded in pieces, to what the whole would be but for the seams", () => {
  const text = longText();
  const whole = bytes.encode(text);
  const pieces = encodeLong(bytes, text);
  assertEquals(bytes.decode(pieces), text.normalize("NFC"));
  const seams = Math.ceil(text.length / 2 ** 14) + 1;
  assert(Math.abs(pieces.length - whole.length) <= 2 * seams, `${pieces.length} and ${whole.length}`);
  const lines = text.slice(0, text.indexOf("🚂".repeat(9)));
  assert(lines.length > 2 ** 15);
  assertEquals(encodeLong(bytes, lines), bytes.encode(lines), "seams at line ends");
  for (const tokenizer of [unigram, fallback]) {
    const [one, all] = [encodeLong(tokenizer, lines), tokenizer.encode(lines)];
    assert(Math.abs(one.length - all.length) <= 2 * seams, `${one.length} and ${all.length}`);
  }
});

/** A folder of texts: those of the oracle, each twenty times over. */
async function probeFolder(place: string): Promise<string[]> {
  await Deno.mkdir(`${place}/texts/odd`, { recursive: true });
  const texts = expectedOf("byte-bpe").probes.slice(0, 5).map(({ text }) => text);
  for (const [at, text] of texts.entries()) {
    await Deno.writeTextFile(`${place}/texts/${at % 2 ? "odd/" : ""}${at}.txt`, text);
  }
  return texts;
}

const load = (options: Record<string, unknown>): Promise<TaskData> =>
  language.load(parseTaskOptions(language, { vocabulary: null, ...options }));

/** Training text and held-out text of one window a batch. */
function tokensOf(data: TaskData): { train: number[]; held: number[] } {
  const held = data.evaluationExamples({ batch: 1, length: 1 }).flatMap(({ tokenId }) => [...tokenId]);
  const shape = { batch: 1, length: 1, random: random(0) };
  const at = data.trainingExamples(shape);
  const train = Array.from({ length: data.facts["training tokens"] - 1 }, (_, step) => at(step).tokenId[0]);
  return { train, held };
}

Deno.test("a task trains on the ids that Rust gives, text by text, and holds their ends out", () =>
  inFolder(async (place) => {
    await probeFolder(place);
    const data = await load({ corpus: `${place}/texts`, unit: pathOf("byte-bpe"), validationShare: 0.25 });
    const ids = expectedOf("byte-bpe").probes.map((probe) => probe.ids_without_special);
    // Files come in order of their letters: those at the top, then a folder's.
    const inOrder = [0, 2, 4, 1, 3].map((at) => ids[at]);
    const cut = (all: readonly number[]) => Math.floor(0.75 * all.length);
    const train = inOrder.flatMap((all) => all.slice(0, cut(all)));
    const held = inOrder.flatMap((all) => all.slice(cut(all)));
    assertEquals(data.facts, {
      "training tokens": train.length,
      "validation tokens": held.length,
      vocabulary: 320,
    });
    const found = tokensOf(data);
    assertEquals(found.held, held.slice(0, -1));
    // One window a token but the last, which has no target; an epoch visits each once.
    assertEquals(found.train.toSorted((a, b) => a - b), train.slice(0, -1).toSorted((a, b) => a - b));
    assert(data.input.kind === "tokens" && data.input.V === 320);
    assertEquals([data.nameOf(266), data.nameOf(320)], ["he", null]);
    assertEquals(data.labels, [{ name: "folder", names: ["odd"] }]);
  }));

Deno.test("the digest is of the ids: another place of the tokenizer changes nothing, another tokenizer or text does", () =>
  inFolder(async (place) => {
    const corpus = `${place}/text.txt`;
    const digest = async (unit: string) => (await load({ corpus, unit })).digest;
    const first = await digest(pathOf("byte-bpe"));
    for (const file of ["tokenizer.json", "tokenizer_config.json"]) {
      await Deno.copyFile(`${folder}/byte-bpe/${file}`, `${place}/${file}`);
    }
    assertEquals(await digest(`${place}/tokenizer.json`), first);
    await Deno.remove(`${place}/tokenizer_config.json`);
    assertEquals(await digest(`${place}/tokenizer.json`), first, "a config is not needed");
    const others = await Promise.all(
      [pathOf("unigram"), pathOf("byte-fallback-bpe"), "bytes", "words"].map(digest),
    );
    assertEquals(new Set([first, ...others]).size, 5);
    await Deno.writeTextFile(corpus, `${Deno.readTextFileSync(corpus)} more`);
    assertNotEquals(await digest(pathOf("byte-bpe")), first);
  }));

Deno.test("units and vocabularies that do not fit are refused, naming what would", () =>
  inFolder(async (place) => {
    const corpus = `${place}/text.txt`;
    const unit = pathOf("unigram");
    const refused = (options: Record<string, unknown>, message: string) =>
      assertRejects(() => load({ corpus, ...options }), RangeError, message);
    await refused({ unit: "wrods" }, 'into "wrods": there are "words", "bytes", and no file of that name');
    await refused(
      { unit, vocabulary: 319 },
      "it has 320, and vocabulary allows 319; choose a vocabulary of 320, or null",
    );
    assertEquals((await load({ corpus, unit, vocabulary: 320 })).facts.vocabulary, 320);
    const options = { corpus, unit, vocabulary: null, validationShare: 0.1 };
    const size = Deno.statSync(corpus).size;
    await assertRejects(() => loadText(options, size - 1), RangeError, "into sub-words: it has");
    assertEquals((await loadText(options, size)).facts.vocabulary, 320);
    await Deno.writeTextFile(`${place}/short.txt`, "a");
    await refused({ unit, corpus: `${place}/short.txt` }, "sub-words, too few to hold out a share of 0.1");
  }));

Deno.test("ids that no token has are named by their number", () => {
  const gap: Tokenizer = {
    ...bytes,
    size: 4,
    tokenOf: (id) => id === 2 ? null : `t${id}`,
    encode: () => Int32Array.of(0, 3),
  };
  const texts = { name: "gap", texts: [{ name: "gap", genre: null, text: "ab" }] };
  assertEquals(prepareSubwords(texts, gap, 0.5).vocabulary.words, ["t0", "t1", "<2>", "t3"]);
  assertEquals([...prepareSubwords(texts, gap, 0.5).countByToken], [1, 0, 0, 0]);
});

const quick = ["--size", "tiny", "--seeds", "1", "--routers", "switch", "--no-controls", "--steps", "2"];

Deno.test("--tokenizer trains on sub-words, from any folder, and its record says so", () =>
  inFolder(async (place) => {
    const path = pathOf("byte-fallback-bpe");
    const words = [...quick, "--text", `${place}/text.txt`];
    await succeed(...words, "--tokenizer", path, "--out", `${place}/one`, "--jobs", "1");
    const text = Deno.readTextFileSync(`${place}/one/runs/switch-seed0.jsonl`);
    const { header } = parseRecord(text, "one");
    assertEquals([header.data.vocabulary, header.config?.task.unit, header.task?.name], [
      320,
      path,
      "language",
    ]);
    const { code, error } = await experimentsFrom(
      "tests/oracles/tokenizers/",
      ...words,
      "--tokenizer",
      "byte-fallback-bpe/tokenizer.json",
      "--out",
      `${place}/two`,
    );
    assertEquals([code, error], [0, ""]);
    assertEquals(Deno.readTextFileSync(`${place}/two/runs/switch-seed0.jsonl`), text);
    const missing = await experiments(...words, "--tokenizer", `${place}/none.json`);
    assertRefused(missing, ["none.json", '"words", "bytes"'], "a missing tokenizer");
    const small = await experiments(...words, "--tokenizer", path, "--vocabulary", "100");
    assertRefused(small, ["320", "100"], "a small vocabulary");
    const units = await succeed(...words, "--set", `task.unit=words,${path}`, "--out", `${place}/units`);
    assertStringIncludes(units, "2 runs of 4 steps in all");
  }));
