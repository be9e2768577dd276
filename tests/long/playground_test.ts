// The playground in a real Chromium: it trains what Deno trains, byte for byte, its address holds all that was chosen, and it
// stays small.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { cpu } from "../../cpu/backend.ts";
import { stateOf } from "../../playground/address.ts";
import { namesOf, routersOf, runConfigOf } from "../../playground/state.ts";
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import { recordRows, recordText } from "../../training/record_text.ts";
import { train } from "../../training/train.ts";
import { playgroundTest, savedRecords, trainedRecords, untilFinished } from "../playground.ts";

const FIRST_LOAD = 300_000;

/** Records that Deno writes for an address. */
async function recordsOf(address: string): Promise<string> {
  const state = stateOf(address);
  using backend = await cpu({ threads: 1 });
  let text = "";
  for (const [at, choice] of routersOf(state).entries()) {
    const run = runConfigOf(state, choice);
    const { name, ...options } = run.task;
    const task = findTask(name);
    const data = await task.load(parseTaskOptions(task, options));
    using trained = await train(run, { backend, data, names: namesOf(state)[at], version: config.version });
    text += recordText(recordRows(trained.record));
  }
  return text;
}

playgroundTest("a page trains within its weight, and complains of nothing", async (playground) => {
  await using open = await playground.open("size=tiny&train.steps=40");
  const { page, complaints } = open;
  assertMatch(await page.title(), /playground/);
  const records = await trainedRecords(page);
  assertEquals(records.split("\n").filter((line) => line.includes('"kind":"step"')).length, 40);
  const weight = open.loadedBytes();
  assert(weight > 150_000 && weight <= FIRST_LOAD, `${weight} bytes of gzip are loaded`);
  assertEquals(complaints, []);
});

for (
  const address of [
    "size=tiny&train.steps=30&beside=gshard",
    "task=recall&size=tiny&train.steps=30&router=sinkhorn&seed=3",
    "size=tiny&train.steps=25&beside=switch&beside.capacityFactor=2&beside.outputScale=times+experts",
  ]
) {
  playgroundTest(`records of ${address} are Deno's, byte for byte`, async (playground) => {
    await using open = await playground.open(address);
    assertEquals(await trainedRecords(open.page), await recordsOf(address));
    assertEquals(open.complaints, []);
  });
}

playgroundTest("what is chosen in the form is in the address, which restores it", async (playground) => {
  await using first = await playground.open("");
  const { page } = first;
  await page.selectOption("#task", "recall");
  await page.selectOption("#size", "tiny");
  await page.selectOption("#router", "gshard");
  await page.fill("#router-balance", "0.05");
  await page.fill("#setting-train\\.steps", "20");
  await page.press("#setting-train\\.steps", "Tab");
  const address = new URL(page.url()).hash.slice(1);
  assertEquals(Object.fromEntries(new URLSearchParams(address)), {
    task: "recall",
    size: "tiny",
    router: "gshard",
    "router.balance": "0.05",
    "train.steps": "20",
  });
  const records = await trainedRecords(page);
  await using second = await playground.open(address);
  assertEquals(await second.page.inputValue("#router-balance"), "0.05");
  assertEquals(await trainedRecords(second.page), records);
});

playgroundTest("a value out of range is refused with the command line's sentence", async (playground) => {
  await using open = await playground.open("");
  const { page } = open;
  for (
    const [field, path, value] of [["#router-capacityFactor", "router.capacityFactor", "-1"], [
      "#setting-seed",
      "seed",
      "two",
    ]]
  ) {
    await page.fill(field, value);
    await page.press(field, "Tab");
    const error = assertThrows(() => stateOf(`${path}=${value}`), RangeError);
    assertEquals(await page.textContent(`${field}-problem`), error.message);
    assertEquals(await page.textContent("#problem"), error.message);
    assertEquals(await page.getAttribute(field, "aria-invalid"), "true");
  }
  assertEquals(new URL(page.url()).hash, "");
});

playgroundTest(
  "another value restarts the runs, and those before stay for comparison",
  async (playground) => {
    await using open = await playground.open("size=tiny&train.steps=20");
    const { page } = open;
    const before = await trainedRecords(page);
    await page.fill("#router-capacityFactor", "2");
    await page.press("#router-capacityFactor", "Tab");
    await untilFinished(page);
    const after = await savedRecords(page);
    assert(before !== after);
    assertMatch(after, /"capacityFactor":2/);
    assertEquals(await page.locator("#loss .legend li").allTextContents(), ["switch before", "switch"]);
  },
);

playgroundTest("best known and random routing are marked beside the loss", async (playground) => {
  await using open = await playground.open("size=tiny&train.steps=20");
  const { page } = open;
  await trainedRecords(page);
  await page.waitForFunction(() => document.querySelectorAll("#loss .marks li").length === 3);
  const [chance, random, best] = await page.locator("#loss .marks li").allTextContents();
  assertEquals(chance, "chance 2.08");
  const values = [random, best].map((text) => Number(text.match(/[\d.]+$/)![0]));
  assertMatch(random, /^random routing /);
  assertMatch(best, /^best known routing /);
  assert(values[1] < values[0], `${values}`);
});
