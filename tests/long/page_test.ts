// Pages of ours in a real Chromium, at the widths of a desk, a tablet and a phone, light, dark and on paper: nothing is
// wider than the page, no names lie over each other, no type is too small, and axe-core finds nothing.
import { assert, assertEquals } from "@std/assert";
import axe from "axe-core";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { indexPage } from "../../report/index_page.ts";
import { findChromium } from "../chromium.ts";
import { wideReport } from "../wide_report.ts";

const path = findChromium();
// .ci/run installs it, and says so here where it cannot.
const ignore = path === null &&
  (Deno.env.get("CI") !== "true" || Deno.env.get("WITHOUT_CHROMIUM") === "true");
if (ignore) console.log("Tests of pages are skipped: there is no Chromium (Debian: chromium).");

const checks = await Deno.readTextFile(new URL("../page_checks.js", import.meta.url));

function pageTest(name: string, body: (page: Page) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      assert(path !== null, "there is no Chromium (Debian: chromium)");
      const profile = await Deno.makeTempDir();
      let browser: Browser | null = null;
      try {
        browser = await puppeteer.launch({
          executablePath: path,
          args: ["--no-sandbox", "--disable-background-networking"],
          userDataDir: profile,
          pipe: true,
        });
        await body(await browser.newPage());
      } finally {
        await browser?.close();
        await Deno.remove(profile, { recursive: true }).catch(() => {}); // Its helpers may still be closing files.
      }
    },
    sanitizeResources: false,
    sanitizeOps: false,
  });
}

interface Showing {
  readonly width: number;
  readonly theme: "light" | "dark";
}

async function show(page: Page, html: string, { width, theme }: Showing): Promise<void> {
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await page.setContent(html);
  // What is closed is to be read as well.
  await page.evaluate(`for (const each of document.querySelectorAll("details")) each.open = true`);
  await page.evaluate(checks);
}

async function wrongWith(page: Page): Promise<string[]> {
  const found = await Promise.all(
    ["tooWide()", "overlaps()", "tooSmall(10)"].map((check) => page.evaluate(`pageChecks.${check}`)),
  );
  return found.flat() as string[];
}

async function wrongByAxe(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(
    `axe.run().then(({ violations }) =>
      violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 120)).join("; ")))`,
  ) as string[];
}

/** Whether the checks see what is wrong with a page on purpose. */
pageTest("the checks find a wide page, names over each other, and small type", async (page) => {
  const drawing = `<svg class="plot" aria-label="a drawing" viewBox="0 0 100 40" width="50">
    <text x="10" y="20">one</text><text x="12" y="20">other</text><text x="60" y="20">free</text></svg>`;
  await show(page, `<body style="width: 800px">${drawing}</body>`, { width: 390, theme: "light" });
  const wrong = await wrongWith(page);
  assert(wrong.some((each) => each.startsWith("BODY") || each.startsWith("SVG")) || wrong.length > 2);
  assert(wrong.includes(`"one" and "other" in "a drawing"`), wrong.join("\n"));
  assert(!wrong.some((each) => each.includes(`"free" and`) || each.includes(`and "free"`)), wrong.join("\n"));
  assert(wrong.some((each) => each.includes("px:")), wrong.join("\n"));
  assert((await wrongByAxe(page)).some((each) => each.startsWith("html-has-lang")));
});

/** Three experiments: one done, one stopped, one that cannot be read. */
function listOfRuns(): string {
  const files = [{ name: "Report", path: "compare/report.html" }, {
    name: "records.jsonl",
    path: "compare/r",
  }];
  const listed = { about: "How well does each router route?", date: "2025-11-22", tasks: ["recall"], files };
  const done = {
    variants: ["switch", "hash"],
    finished: 4,
    planned: 4,
    headline: "switch has the lowest loss.",
  };
  return indexPage([
    { ...listed, ...done, name: "compare" },
    { ...listed, ...done, name: "compare-with-a-long-name-that-does-not-break-anywhere-2", planned: 9 },
    {
      ...listed,
      ...done,
      name: "broken",
      about: "",
      date: "",
      planned: 0,
      finished: 0,
      variants: [],
      tasks: [],
    },
  ]);
}

const pages: Readonly<Record<string, () => string>> = {
  "a list of runs": listOfRuns,
  "a report of 18 variants": () => wideReport(18),
  "a report of 3 variants on two tasks": () => wideReport(3, ["recall", "regimes"]),
};

for (const [name, html] of Object.entries(pages)) {
  pageTest(`${name} holds at 1280, 768 and 390 pixels, light and dark`, async (page) => {
    const text = html();
    for (const width of [1280, 768, 390]) {
      await show(page, text, { width, theme: "light" });
      assertEquals(await wrongWith(page), [], `${width} pixels`);
    }
    for (const [width, theme] of [[1280, "light"], [390, "dark"]] as const) {
      await show(page, text, { width, theme });
      assertEquals(await wrongByAxe(page), [], `${width} pixels, ${theme}`);
    }
  });

  pageTest(`${name} loses nothing on paper`, async (page) => {
    const text = html();
    await page.setViewport({ width: 794, height: 1123 });
    await page.emulateMediaType("print");
    await page.setContent(text);
    await page.evaluate(checks);
    assertEquals(await wrongWith(page), []);
    // What is closed on the screen is there, and no table is cut where it would scroll.
    assertEquals(await page.evaluate("pageChecks.hidden()"), []);
    assertEquals(await page.evaluate("pageChecks.cut()"), []);
  });
}
