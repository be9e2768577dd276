// Text larger than memory: read by range it is the same task, bit for bit, as read whole; what is not text, has changed or
// would be held as words is refused; and memory stays where it was.
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { wholeCounts } from "../data/bytes_on_disk.ts";
import type { TaskData } from "../tasks/task.ts";
import { loadText, type TextOptions } from "../tasks/text.ts";
import { random } from "../tensor/random.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { train } from "../training/train.ts";
import { madeUpParagraphs } from "./made_up_text.ts";
import { inOwnFolder } from "./own_folder.ts";
import { least, tinyConfig } from "./run_configs.ts";

const MiB = 2 ** 20;

function options(corpus: string, validationShare = 0.1): TextOptions {
  return { corpus, unit: "bytes", vocabulary: null, validationShare };
}

/** The same text read whole and read by range. */
async function bothWays(given: TextOptions): Promise<[TaskData, TaskData]> {
  return [await loadText(given, Infinity), await loadText(given, 0)];
}

/** A folder of texts: letters of several bytes across pieces of reading, a byte order mark, an empty file, two genres. */
function writeTexts(folder: string): void {
  Deno.mkdirSync(`${folder}/prose`, { recursive: true });
  Deno.mkdirSync(`${folder}/verse`);
  Deno.writeTextFileSync(`${folder}/prose/long.txt`, "x" + "é€𝄞 ".repeat(60_000));
  Deno.writeTextFileSync(`${folder}/prose/marked.txt`, `\uFEFF${madeUpParagraphs()}`);
  Deno.writeTextFileSync(`${folder}/verse/empty.txt`, "");
  Deno.writeTextFileSync(`${folder}/verse/short.txt`, "é");
  Deno.writeTextFileSync(`${folder}/verse/other.txt`, madeUpParagraphs({ seed: 8 }));
  Deno.writeTextFileSync(`${folder}/unsorted.txt`, madeUpParagraphs({ seed: 9 }));
}

Deno.test("a text read by range is the text read whole: digest, counts, every window, every label", () =>
  inOwnFolder(async (folder) => {
    writeTexts(`${folder}/texts`);
    for (const corpus of [`${folder}/texts`, `${folder}/texts/prose/marked.txt`]) {
      for (const share of [0.1, 0.7]) {
        const [whole, ranged] = await bothWays(options(corpus, share));
        const { name, digest, input, output, labels, facts, references } = whole;
        assertEquals(
          [
            ranged.name,
            ranged.digest,
            ranged.input,
            ranged.output,
            ranged.labels,
            ranged.facts,
            ranged.references,
          ],
          [name, digest, input, output, labels, facts, references],
        );
        assertEquals(ranged.nameOf(97), "a");
        for (const [length, shards] of [[16, 1], [64, 2], [1000, 1]]) {
          const shape = { batch: 4, length, shards, random: random(5) };
          const [one, other] = [whole.trainingExamples(shape), ranged.trainingExamples(shape)];
          // A whole epoch of the longest windows, which lie across files, and the start of the next.
          for (let step = 0; step < 150; step++) assertEquals(other(step), one(step));
          assertEquals(ranged.evaluationExamples(shape), whole.evaluationExamples(shape));
        }
      }
    }
    const [whole] = await bothWays(options(`${folder}/texts`));
    Deno.writeTextFileSync(`${folder}/texts/verse/short.txt`, "è");
    const [, edited] = await bothWays(options(`${folder}/texts`));
    assertNotEquals(edited.digest, whole.digest);
  }));

Deno.test("a run on a text read by range writes the record of a run on it read whole", () =>
  inOwnFolder(async (folder) => {
    writeTexts(folder);
    using backend = await cpu({ threads: 1 });
    const records = [];
    for (const data of await bothWays(options(folder))) {
      using run = await train(tinyConfig("switch", {}, least, { "train.steps": 6 }), { backend, data });
      records.push(recordText(recordRows(run.record)));
    }
    assertEquals(records[1], records[0]);
  }));

Deno.test("a mebibyte is held out at most, whichever way a text is read", () =>
  inOwnFolder(async (folder) => {
    const corpus = `${folder}/text`;
    await Deno.writeFile(corpus, new Uint8Array(3 * MiB).fill(97));
    const [whole, ranged] = await bothWays(options(corpus, 0.5));
    for (const { facts } of [whole, ranged]) {
      assertEquals(facts, { "training tokens": 2 * MiB, "validation tokens": MiB, vocabulary: 256 });
    }
    assertEquals(ranged.digest, whole.digest);
    // Below that, the share is held out.
    assertEquals((await loadText(options(corpus, 0.25), 0)).facts["training tokens"], 2.25 * MiB);
  }));

Deno.test("what cannot be read by range is refused in one sentence", () =>
  inOwnFolder(async (folder) => {
    const corpus = `${folder}/text`;
    Deno.writeTextFileSync(corpus, madeUpParagraphs());
    const { size } = Deno.statSync(corpus);
    await assertRejects(
      () => loadText({ ...options(corpus), unit: "words" }, size - 1),
      RangeError,
      `Cannot cut ${corpus} into words: it has ${size} bytes, and words are held in memory, which is done up to ` +
        `${size - 1} bytes; choose unit bytes, with vocabulary null`,
    );
    assert((await loadText({ ...options(corpus), unit: "words" }, size)).facts.vocabulary < 256);
    const data = await loadText(options(corpus), 0);
    const batchOf = data.trainingExamples({ batch: 2, length: 16, random: random(0) });
    assertEquals(batchOf(0).tokenId.length, 32);
    Deno.writeTextFileSync(corpus, "more", { append: true });
    const changed = `Cannot read ${corpus}: it has changed since it was first looked at; start again`;
    assertThrows(() => batchOf(1), Error, changed);
    await Deno.remove(corpus);
    assertThrows(() => batchOf(1), Error, `Cannot read ${corpus}: no such file or folder`);
    for (const bytes of [[97, 98, 0xFF, 99], [97, 98, 99, 0xC3]]) {
      Deno.writeFileSync(corpus, Uint8Array.from(bytes));
      for (const mostInMemory of [0, Infinity]) {
        await assertRejects(
          () => loadText(options(corpus, 0.5), mostInMemory),
          Error,
          `Cannot read ${corpus}: it is not UTF-8 text`,
        );
      }
    }
    Deno.writeTextFileSync(corpus, "a");
    await assertRejects(
      () => loadText(options(corpus), 0),
      RangeError,
      "it has 1 bytes, too few to hold out",
    );
  }));

Deno.test("counts past 2^31 keep their ratios, and smaller ones are exact", () => {
  assertEquals(wholeCounts(Float64Array.of(0, 5, 2 ** 31 - 1)), Int32Array.of(0, 5, 2 ** 31 - 1));
  assertEquals(wholeCounts(Float64Array.of(4, 2 ** 31)), Int32Array.of(2, 2 ** 30));
  assertEquals(
    wholeCounts(Float64Array.of(3 * 2 ** 20, 3 * 2 ** 31)),
    Int32Array.of(3 * 2 ** 18, 3 * 2 ** 29),
  );
});

Deno.test("a text of 256 MiB is trained on in the memory of one of 32 MiB", () =>
  inOwnFolder(async (folder) => {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", new URL("large_text_memory.ts", import.meta.url).href, folder, "256"],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const { held, right, grown } = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals([held, right], [MiB, 2000]);
    // 3 to 12 MiB where it was measured; the bytes alone are 256, and as tokens four times as many.
    assert(grown < 32, `resident memory grew by ${grown} MiB`);
  }));
