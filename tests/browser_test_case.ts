// Tests in a real Chromium, each with a browser of its own, driven by Playwright; and what axe-core finds in a page.
import { assert } from "@std/assert";
import axe from "axe-core";
import { type Browser, chromium as browsers, type Page } from "playwright-core";
import { chromium, skipsBrowsers, softwareGpu } from "./chromium.ts";

/** What a machine that is busy with other tests may take for anything: Playwright's own limit is 30 seconds. */
export const MOST_MILLISECONDS = 120_000;

/** A test with a browser, skipped where there is none. */
export function browserTest(name: string, body: (browser: Browser) => Promise<void>): void {
  Deno.test({
    name,
    ignore: skipsBrowsers,
    fn: async () => {
      assert(chromium !== null, "there is no Chromium (Debian: chromium)");
      const args = ["--no-sandbox", "--disable-background-networking", ...softwareGpu];
      const browser = await browsers.launch({ executablePath: chromium, args, timeout: MOST_MILLISECONDS });
      try {
        await body(browser);
      } finally {
        await browser.close();
      }
    },
    sanitizeResources: false,
    sanitizeOps: false,
  });
}

/** What axe-core finds in a page, a line each. It is evaluated by the browser's own tools: a page's policy may forbid more. */
export async function wrongByAxe(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(
    `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => id + ": " + html.slice(0, 200) + " " + failureSummary)))`,
  );
}
