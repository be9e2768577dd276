// The playground's tour in a real Chromium: every step is a state of the page, reached by keyboard alone.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { tourSteps } from "../../playground/tour/steps.ts";
import { wrongByAxe } from "../browser_test_case.ts";
import { playgroundTest, untilFinished } from "../playground.ts";

const titles = tourSteps("").map(({ title }) => title);

const current = (page: Page) => page.locator("#tour-steps [aria-current=step]").allTextContents();

/** What the form says of an option; null where there is no such field. */
const valueOf = (page: Page, id: string) =>
  page.evaluate((id) => (document.getElementById(id) as HTMLInputElement | null)?.value ?? null, id);

/** Fields of the form that a step sets, in the tour's order. */
const fields: readonly Readonly<Record<string, string | null>>[] = [
  { task: "regimes", router: "switch", beside: "none", "setting-train.steps": "400" },
  { task: "language", size: "tiny", "router-balance": "0", "router-capacityFactor": "4", beside: "none" },
  { "router-balance": "0", beside: "switch", "beside-balance": "0.01", "beside-capacityFactor": "4" },
  { "router-capacityFactor": "0.5", "beside-capacityFactor": "2", "router-balance": "0.01" },
  { task: "regimes", router: "switch", beside: "gshard" },
];

playgroundTest("the tour is read by keyboard, and each step sets the page", async (playground) => {
  await using open = await playground.open();
  const { page } = open;
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assertEquals(await page.evaluate(() => document.activeElement?.textContent), titles[0]);
  for (const [at, wanted] of fields.entries()) {
    await page.keyboard.press("Enter");
    await page.waitForFunction(
      (at) => document.querySelector("#tour-text h2")?.textContent?.startsWith(at),
      `${at + 1}. `,
    );
    assertEquals(await current(page), [titles[at]]);
    for (const [id, value] of Object.entries(wanted)) {
      assertEquals(await valueOf(page, id), value, `${at}: ${id}`);
    }
    assertEquals(await page.textContent("#problem"), "");
    assertEquals(await wrongByAxe(page), [], titles[at]);
    await page.keyboard.press("Tab");
  }
  // The last link of the list is the step not read yet; behind it lies the one that leads on.
  assertEquals(await page.evaluate(() => document.activeElement?.textContent), titles[5]);
  await page.keyboard.press("Tab");
  assertEquals(await page.textContent(":focus"), `Next: ${titles[5]}`);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#own-notice:not([hidden])");
  assertEquals(await current(page), [titles[5]]);
  assertEquals(await page.textContent("#tour-next"), `From the start: ${titles[0]}`);
  assertEquals(page.workers().length, 0);
  await page.waitForSelector(".cm-content");
  assertEquals(await wrongByAxe(page), [], titles[5]);
  await page.click("#train");
  await untilFinished(page);
  assertEquals(await page.locator("#runs tbody th").allTextContents(), ["my-router", "switch"]);
  assertEquals(await page.locator("#runs td:nth-child(2)").allTextContents(), ["finished", "finished"]);
  assertEquals(open.complaints, []);
});

playgroundTest("the tour stays at its step while its reader changes something", async (playground) => {
  const [, , balance] = tourSteps("");
  await using open = await playground.open(balance.address);
  const { page } = open;
  assert(await page.isVisible("#tour-text h2"));
  await page.fill("#beside-balance", "0.1");
  await page.press("#beside-balance", "Tab");
  assertMatch(new URL(page.url()).hash, /beside\.balance=0\.1/);
  assertEquals(await current(page), [balance.title]);
  await page.click("#tour-steps [aria-current]");
  await page.waitForFunction(() =>
    (document.querySelector("#beside-balance") as HTMLInputElement).value === "0.01"
  );
});

playgroundTest("who comes without a step sees the tour closed", async (playground) => {
  await using open = await playground.open("task=recall");
  assert(!await open.page.isVisible("#tour-steps"));
  assertEquals(await current(open.page), []);
});
