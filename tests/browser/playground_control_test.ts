// The playground under a user's hands, in a real Chromium: pause, one step, stop, a hidden tab, and a page that stays fluid.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { playgroundTest, savedRecords, trainedRecords, untilFinished } from "../playground.ts";

/** Steps that the page shows of its first run. */
async function stepsOf(page: Page): Promise<number> {
  return Number((await page.textContent("#runs tbody td:nth-child(3)"))?.match(/^\d+/)?.[0] ?? 0);
}

/** Waits until the first run has taken more steps than it had. */
async function untilStep(page: Page, least: number): Promise<void> {
  await page.waitForFunction(
    (least) => parseInt(document.querySelector("#runs tbody td:nth-child(3)")?.textContent ?? "0") >= least,
    least,
    { timeout: 60_000 },
  );
}

const stageOf = (page: Page) => page.textContent("#runs tbody td:nth-child(2)");

playgroundTest(
  "a small model pauses within 200 ms, goes a step at a time, and stops where it is",
  async (playground) => {
    await using open = await playground.open("task=language&size=small");
    const { page } = open;
    await page.click("#train");
    let held = 0;
    for (let round = 0; round < 3; round++) {
      const before = await stepsOf(page);
      await untilStep(page, before + 2);
      await page.click("#pause");
      await page.waitForTimeout(200);
      const steps = await stepsOf(page);
      await page.waitForTimeout(800);
      if (await stepsOf(page) === steps) held++;
      assertEquals(await stageOf(page), "paused");
      assertEquals(await page.textContent("#pause"), "Go on");
      if (round < 2) await page.click("#pause");
    }
    assert(held >= 2, `${held} of 3 pauses held within 200 ms`);

    const steps = await stepsOf(page);
    for (const more of [1, 2]) {
      await page.click("#step");
      await untilStep(page, steps + more);
      await page.waitForTimeout(500);
      assertEquals(await stepsOf(page), steps + more);
      assertEquals(await stageOf(page), "paused");
    }
    await page.click("#stop");
    assertEquals(await stageOf(page), "stopped");
    const rows = (await savedRecords(page)).trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(rows.filter(({ kind }) => kind === "step").length, steps + 2);
    assertEquals(rows.some(({ kind }) => kind === "end"), false);
  },
);

playgroundTest("a run that was paused and stepped has the record of one that was not", async (playground) => {
  const address = "task=language&size=tiny&train.steps=40&beside=gshard";
  await using plain = await playground.open(address);
  const records = await trainedRecords(plain.page);
  await using open = await playground.open(address);
  const { page } = open;
  await page.click("#train");
  await untilStep(page, 1);
  await page.click("#pause");
  for (let steps = 0; steps < 3; steps++) await page.click("#step");
  await page.click("#pause");
  await untilFinished(page);
  assertEquals(await savedRecords(page), records);
});

playgroundTest("a page that was hidden for a minute pauses", async (playground) => {
  await using open = await playground.open("task=language&size=small");
  const { page } = open;
  await page.clock.install();
  await page.click("#train");
  await page.clock.runFor(500);
  const hide = (state: string) =>
    page.evaluate((state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  await hide("hidden");
  await page.clock.runFor(50_000);
  await hide("visible");
  await page.clock.runFor(20_000);
  assertMatch(await stageOf(page) ?? "", /starting|training/);
  await hide("hidden");
  await page.clock.runFor(61_000);
  assertEquals(await stageOf(page), "paused");
});

/** Starts to watch how far frames of a page lie apart; what it returns says the longest gap since it was last asked. */
async function watchFrames(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const watched = Object.assign(globalThis, { longestGap: 0 });
    let last = performance.now();
    const frame = (now: number) => {
      watched.longestGap = Math.max(watched.longestGap, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  return () =>
    page.evaluate(() => {
      const watched = globalThis as unknown as { longestGap: number };
      const found = watched.longestGap;
      watched.longestGap = 0;
      return found;
    });
}

playgroundTest(
  "training adds no gap above 200 ms between frames to those of the page at rest",
  async (playground) => {
    const added: number[] = [];
    for (let round = 0; round < 3; round++) {
      await using open = await playground.open("task=regimes");
      const { page } = open;
      await page.waitForTimeout(500);
      const longestGap = await watchFrames(page);
      // A machine that is busy with something else has gaps of its own.
      await page.waitForTimeout(2000);
      const atRest = await longestGap();
      await page.click("#train");
      await untilStep(page, 200);
      added.push(await longestGap() - atRest);
    }
    const [, median] = added.sort((a, b) => a - b);
    assert(median <= 200, `gaps longer by ${added.map(Math.round).join(", ")} ms`);
  },
);
