// What every task must do, as tests made for one plugin. It is told which options change the examples, and asks the task
// itself for everything else.
import { assert, assertEquals, assertNotEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type AnyTaskPlugin, parseTaskOptions } from "../tasks/registry.ts";
import type { EvaluationExamples, Examples, TaskData } from "../tasks/task.ts";
import { random } from "../tensor/random.ts";
import { jsonSchemaOf } from "../tensor/plugins.ts";

/** What the contract must be told of a task. */
export interface TaskVariants {
  /** Options that give other examples than the defaults and than each other. */
  readonly other: readonly Readonly<Record<string, unknown>>[];
  /** Whether nothing that is judged by is ever trained on, row by row. */
  readonly heldOut: boolean;
}

const shape = { batch: 4, length: 24 };
const T = shape.batch * shape.length;

/** Rows or words there are, and numbers that a target may be below. */
function sizesOf({ input, output }: TaskData): { rows: number; classes: number } {
  const rows = input.kind === "tokens" ? input.V : input.vectors.rows;
  return { rows, classes: output.kind === "tokens" ? rows : output.vectors.rows };
}

/** Examples that any model can be run on: so many ids as tokens, all in range, sequences that make up the whole. */
function checkExamples(data: TaskData, { tokenId, target, lengths }: Examples, tokens: number): void {
  const { rows, classes } = sizesOf(data);
  assertEquals(tokenId.length, tokens);
  assertEquals(lengths.reduce((sum, length) => sum + length, 0), tokens);
  assert(lengths.every((length) => Number.isInteger(length) && length >= 1), `${lengths}`);
  assert(tokenId.every((id) => Number.isInteger(id) && id >= 0 && id < rows));
  if (data.output.kind === "vectors" && data.output.loss === "squared-error") {
    assert(target instanceof Float32Array && target.every(Number.isFinite));
    assertEquals(target.length, tokens * classes);
  } else {
    assert(target instanceof Int32Array && target.every((id) => id >= -1 && id < classes));
    assertEquals(target.length, tokens);
  }
}

/** All ids and labels in the order in which they are judged. */
function inOrder(batches: readonly EvaluationExamples[]): { ids: number[]; labels: number[][] } {
  const labels = batches[0].labels.map((_, set) => batches.flatMap((batch) => [...batch.labels[set]]));
  return { ids: batches.flatMap(({ tokenId }) => [...tokenId]), labels };
}

/** Makes the tests of one task. */
export function taskContract(plugin: AnyTaskPlugin, { other, heldOut }: TaskVariants): void {
  const promises = (name: string, run: (data: TaskData) => void | Promise<void>) =>
    Deno.test(`${plugin.name}: ${name}`, async () => await run(await loaded));
  const load = (options: Readonly<Record<string, unknown>> = {}) =>
    plugin.load(parseTaskOptions(plugin, options)) as Promise<TaskData>;
  const loaded = load();
  const batchOf = (data: TaskData, seed: number, step: number, shards = 1) =>
    data.trainingExamples({ ...shape, random: random(seed), shards })(step);

  promises("options have defaults and descriptions, and unknown ones are refused by name", () => {
    const { properties = {} } = jsonSchemaOf(plugin.options);
    for (const [name, option] of Object.entries(properties)) {
      assert(typeof option === "object" && option.description, `${name} has no description`);
      assert("default" in option, `${name} has no default`);
    }
    assertThrows(
      () => parseTaskOptions(plugin, { nonsense: 1 }),
      RangeError,
      `Cannot set nonsense = 1 of task "${plugin.name}": there are ${Object.keys(properties).join(", ")}`,
    );
    for (const settings of [plugin.defaults, ...Object.values(plugin.sizes)]) {
      assert(Object.keys(settings).every((path) => /^\w+\.\w+$/.test(path)), "settings are by path");
      const own = Object.entries(settings).filter(([path]) => path.startsWith("task."));
      parseTaskOptions(plugin, Object.fromEntries(own.map(([path, value]) => [path.slice(5), value])));
    }
  });

  promises("equal options give equal digests and examples, other options other digests", async (data) => {
    const again = await load();
    assertEquals([again.digest, again.facts], [data.digest, data.facts]);
    assertEquals(batchOf(again, 3, 5), batchOf(data, 3, 5));
    assert(/^[0-9a-f]{16,}$/.test(data.digest), data.digest);
    const digests = await Promise.all(other.map(async (options) => (await load(options)).digest));
    assertEquals(new Set([data.digest, ...digests]).size, 1 + other.length);
  });

  promises("inputs and outputs are whole and finite", (data) => {
    for (const side of [data.input, data.output]) {
      if (side.kind !== "vectors") continue;
      const { rows, D, values } = side.vectors;
      assertEquals(values.length, rows * D);
      assert(values.every(Number.isFinite));
      assertEquals(D, plugin.defaults["model.width"], "the model it starts from fits its vectors");
    }
    if (data.input.kind === "tokens") {
      assertEquals(data.input.tokenCount_V.length, data.input.V);
      assert(data.input.tokenCount_V.every((count) => count >= 0));
    }
    for (const { loss } of data.references) assert(Number.isFinite(loss) && loss >= 0);
    for (const name of [data.nameOf(0), data.nameOf(sizesOf(data).rows - 1)]) {
      assert(name === null || name !== "");
    }
    assert(Object.values(data.facts).every((fact) => fact > 0));
  });

  promises("a training batch is a pure function of stream and step", (data) => {
    const first = batchOf(data, 0, 9);
    checkExamples(data, first, T);
    batchOf(data, 1, 2);
    assertEquals(batchOf(data, 0, 9), first);
    assertNotEquals(batchOf(data, 1, 9).tokenId, first.tokenId);
    assertNotEquals(batchOf(data, 0, 10).tokenId, first.tokenId);
  });

  promises("shards have examples of their own", (data) => {
    const seen = Array.from({ length: 20 }, (_, step) => batchOf(data, 0, step, 2));
    for (const examples of seen) checkExamples(data, examples, T);
    if (data.input.kind === "vectors") {
      const [left, right] = [0, 1].map((part) =>
        new Set(seen.flatMap(({ tokenId }) => [...tokenId.subarray(part * T / 2, (part + 1) * T / 2)]))
      );
      assertEquals(left.isDisjointFrom(right), true);
    }
    assertThrows(() => batchOf(data, 0, 0, 3), RangeError, "Cannot make batches of 4");
  });

  promises("what it is judged by comes whole, in one order, with labels in range", (data) => {
    const batches = data.evaluationExamples(shape);
    for (const [at, batch] of batches.entries()) {
      const { length } = batch.tokenId;
      assert(length === T || (at === batches.length - 1 && length <= T));
      checkExamples(data, batch, length);
      assertEquals(batch.labels.length, data.labels.length);
      for (const [set, labels] of batch.labels.entries()) {
        assertEquals(labels.length, length);
        assert(labels.every((label) => label >= -1 && label < data.labels[set].names.length));
      }
    }
    assertEquals(inOrder(data.evaluationExamples({ ...shape, batch: 9 })), inOrder(batches));
    for (const { name, names } of data.labels) assert(name !== "" && new Set(names).size === names.length);
    assertThrows(
      () => data.evaluationExamples({ batch: 0, length: 8 }),
      RangeError,
      "Cannot make a batch of 0",
    );
    assertThrows(() => data.evaluationExamples({ batch: 8, length: 0.5 }), RangeError, "0.5");
  });

  if (heldOut) {
    promises("nothing that it is judged by is trained on", (data) => {
      const judged = new Set(inOrder(data.evaluationExamples(shape)).ids);
      for (let step = 0; step < 200; step++) {
        assert(batchOf(data, 0, step).tokenId.every((id) => !judged.has(id)));
      }
    });
  }

  promises("the best routing known has a group for each row, without gaps", ({ bestRouting, ...data }) => {
    if (bestRouting === null) return;
    const groups = new Set(bestRouting.group_V);
    assertEquals(bestRouting.group_V.length, sizesOf({ ...data, bestRouting }).rows);
    assertEquals([...groups].sort((a, b) => a - b), Array.from(groups, (_, at) => at));
    assertStringIncludes(bestRouting.about, " ");
  });
}
