// The playground in a real Chromium: it trains what Deno trains, byte for byte, its address holds all that was chosen, and it
// stays small.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { stateOf } from "../../playground/address.ts";
import type { TaskData } from "../../tasks/task.ts";
import { playgroundTest, savedRecords, trainedRecords, untilFinished } from "../playground.ts";
import { lookedAt, recordsOf } from "../trained_here.ts";

const FIRST_LOAD = 300_000;
const WITH_CORPUS = 600_000;

/** Numbers of words; unknown ones are 0. */
function numbersOf(words: readonly string[], { input, nameOf }: TaskData): Int32Array {
  assert(input.kind === "tokens");
  const names = Array.from({ length: input.V }, (_, id) => nameOf(id));
  return Int32Array.from(words, (word) => Math.max(0, names.indexOf(word)));
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
    "size=tiny&train.steps=6&router=locmoe&beside=locmoe&beside.bound=erfc",
    "size=tiny&train.steps=25&beside=switch&beside.capacityFactor=2&beside.outputScale=times+experts",
  ]
) {
  playgroundTest(`records of ${address} are Deno's, byte for byte`, async (playground) => {
    await using open = await playground.open(address);
    assertEquals(await trainedRecords(open.page), await recordsOf(address));
    assertEquals(open.complaints, []);
  });
}

playgroundTest(
  "text trains from the corpus beside the page, to Deno's records, within its weight",
  async (playground) => {
    const address = "task=language&size=tiny&train.steps=8&beside=gshard";
    await using open = await playground.open(address);
    const { page } = open;
    assertEquals(await trainedRecords(page), await recordsOf(address));
    const weight = open.loadedBytes();
    assert(weight > FIRST_LOAD && weight <= WITH_CORPUS, `${weight} bytes of gzip are loaded`);
    assertEquals(open.complaints, []);
    assertMatch(await Deno.readTextFile(open.fileOf("brown_sample.json")), /redistribution permitted/);
  },
);

playgroundTest(
  "a sentence is marked with the experts that take its words, and those that find no room",
  async (playground) => {
    // One place an expert, and more words than experts.
    const few = "router.evaluationCapacityFactor=0.25&router.capacityFactor=0.25&model.experts=4";
    const address = `task=language&size=tiny&train.steps=3&${few}`;
    await using open = await playground.open(address);
    const { page } = open;
    await trainedRecords(page);
    await page.fill("#sentence", "The man said it was the zyxw .");
    await page.press("#sentence", "Tab");
    await page.waitForFunction(() => document.querySelectorAll(".word").length === 9);
    const words = page.locator(".word");
    const marks = await words.locator("sub").allTextContents();
    const words_T = ["the", "man", "said", "it", "was", "the", "<unknown>", ".", "<end>"];
    const tokens = await lookedAt(address, (data) => numbersOf(words_T, data));
    assertEquals(
      marks,
      tokens.map(({ kept }) => kept.length === 0 ? "×" : kept.map(({ expert }) => expert).join()),
    );
    assert(marks.includes("×") && marks.some((mark) => mark !== "×"), `${marks}`);
    assertEquals(await page.locator(".word.unknown .text").allTextContents(), ["zyxw"]);
    await words.nth(marks.indexOf("×")).hover();
    assertMatch(await page.textContent(".sentence .said") ?? "", /expert \d had no room/);
    await words.first().focus();
    await page.keyboard.press("ArrowRight");
    assertMatch(await page.textContent(".sentence .said") ?? "", /^“man”: /);
    assertMatch(await page.textContent(".probabilities .about") ?? "", /mean over “man”/);
  },
);

for (const name of ["quadrants", "checker", "disc"]) {
  playgroundTest(`the plane of ${name} shows the experts that Deno's run has there`, async (playground) => {
    const address = `task=plane&task.function=${name}&train.steps=60`;
    await using open = await playground.open(address);
    const { page } = open;
    await trainedRecords(page);
    const tokens = await lookedAt(
      address,
      (data) => data.evaluationExamples({ batch: 1, length: 1024 })[0].tokenId,
    );
    const plane = page.locator(".plane [role=slider]");
    await plane.focus();
    await page.keyboard.press("Home");
    for (const [at, key] of [[0, null], [1, "ArrowRight"], [33, "ArrowUp"]] as const) {
      if (key) await page.keyboard.press(key);
      const expert = tokens[at].kept[0]?.expert;
      const said = await page.textContent(".plane .said") ?? "";
      assertMatch(said, expert === undefined ? /had no room/ : new RegExp(`: expert ${expert} with weight`));
    }
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
