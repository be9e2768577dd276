// The playground for everybody, in a real Chromium: axe-core finds nothing, the keyboard reaches all, and the page fits every
// width in light and dark.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { wrongByAxe } from "../browser_test_case.ts";
import { playgroundTest, trainedRecords, untilFinished } from "../playground.ts";

for (const colorScheme of ["light", "dark"] as const) {
  playgroundTest(`axe-core finds nothing in ${colorScheme}`, async (playground) => {
    for (
      const address of [
        "size=tiny&train.steps=20&beside=gshard",
        "task=plane&train.steps=40&beside=gshard",
        "task=language&size=tiny&train.steps=4&router.evaluationCapacityFactor=0.3",
      ]
    ) {
      await using open = await playground.open(address, { colorScheme });
      const { page } = open;
      assertEquals(await wrongByAxe(page), [], "as it opens");
      await trainedRecords(page);
      for (const summary of await page.locator("form summary").all()) await summary.click();
      await page.locator(".chart [role=slider]").first().focus();
      assertEquals(await wrongByAxe(page), [], address);
    }
    await using open = await playground.open("size=tiny&train.steps=20", { colorScheme });
    const { page } = open;
    await page.click("#own summary");
    await page.waitForSelector(".cm-content");
    await page.click("#own-use");
    await page.fill("#setting-train\\.steps", "-1");
    await page.press("#setting-train\\.steps", "Tab");
    assertEquals(await wrongByAxe(page), [], "with an editor and a refusal");
  });
}

/** What has the focus: an id, or what it is. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const { id, tagName, className, role } = document.activeElement as HTMLElement;
    return id || role || `${tagName.toLowerCase()} ${className}`.trim();
  });

playgroundTest("everything is reached and used by keyboard alone", async (playground) => {
  await using open = await playground.open("task=language&size=tiny&train.steps=4");
  const { page } = open;
  for (const wanted of ["summary", "train"]) {
    await page.keyboard.press("Tab");
    assertEquals(await focused(page), wanted);
  }
  await page.keyboard.press("Enter");
  await untilFinished(page);
  const reached: string[] = [];
  // As far as the last chart, and not round the page again.
  for (let tab = 0; tab < 60 && reached.filter((each) => each === "slider").length < 3; tab++) {
    await page.keyboard.press("Tab");
    reached.push(await focused(page));
  }
  for (
    const id of [
      "copy",
      "save",
      "task",
      "size",
      "router",
      "router-capacityFactor",
      "beside",
      "setting-seed",
      "device",
    ]
  ) {
    assert(reached.includes(id), `${id} of ${reached}`);
  }
  assert(reached.includes("sentence") && reached.includes("option"), `${reached}`);
  assertMatch(await page.locator("#dropped .slider").getAttribute("aria-valuetext") ?? "", /arrow keys/);
  await page.keyboard.press("End");
  assertMatch(await page.textContent("#dropped .said") ?? "", /^step 4: switch [\d.]+ %$/);
  await page.keyboard.press("ArrowLeft");
  assertMatch(
    await page.locator("#dropped .slider").getAttribute("aria-valuetext") ?? "",
    /^step 3: switch /,
  );
  await page.locator("#load .slider").focus();
  await page.keyboard.press("Home");
  assertMatch(
    await page.textContent("#load .said") ?? "",
    /^step 0, expert 0: [\d.]+ % of assignments asked for/,
  );
  await page.keyboard.press("ArrowDown");
  assertMatch(await page.textContent("#load .said") ?? "", /^step 0, expert 1: /);
});

playgroundTest("no width from 360 to 1600 pixels scrolls sideways", async (playground) => {
  for (
    const [address, isLong] of [
      ["size=tiny&train.steps=20&beside=deepseek", false],
      [
        "task=plane&train.steps=20&beside=gshard",
        false,
      ],
      ["task=language&size=tiny&train.steps=4&beside=expert-choice", true],
      ["train.steps=400", false],
    ] as const
  ) {
    await using open = await playground.open(address);
    const { page } = open;
    await trainedRecords(page);
    if (isLong) {
      await page.fill("#sentence", "antidisestablishmentarianism".repeat(3));
      await page.press("#sentence", "Tab");
      await page.click("#own summary");
      await page.waitForSelector(".cm-content");
    }
    for (const width of [360, 400, 600, 768, 900, 1100, 1280, 1600]) {
      await page.setViewportSize({ width, height: 800 });
      const found = await page.evaluate(() => {
        const wide = [...document.querySelectorAll("body *")].filter((each) =>
          each.getBoundingClientRect().right > innerWidth + 1 && !each.closest(".cm-editor")
        );
        return {
          scrolls: document.documentElement.scrollWidth,
          wide: wide.map((each) => each.outerHTML.slice(0, 80)),
        };
      });
      assert(found.scrolls <= width, `${address} at ${width}: ${found.scrolls}, ${found.wide}`);
    }
  }
});

playgroundTest("nothing moves by itself where a user prefers that", async (playground) => {
  await using open = await playground.open("size=tiny&train.steps=400", { reducedMotion: "reduce" });
  const { page } = open;
  await page.click("#own summary");
  await page.waitForSelector(".cm-content");
  await page.locator(".cm-content").focus();
  await page.click("#train");
  await page.waitForTimeout(300);
  assertEquals(await page.evaluate(() => document.getAnimations().length), 0);
  assertEquals(await page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior), "auto");
});

playgroundTest("on a narrow page Train brings what comes of it into view", async (playground) => {
  await using open = await playground.open("size=tiny&train.steps=20", {
    viewport: { width: 360, height: 740 },
  });
  const { page } = open;
  await page.click("#train");
  await untilFinished(page);
  await page.waitForFunction(() =>
    document.querySelector("#results")!.getBoundingClientRect().top < innerHeight / 2
  );
});
