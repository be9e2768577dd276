// Pages of ours in a real Chromium, at the widths of a desk, a tablet and a phone, light, dark and on paper: nothing is
// wider than the page, no names lie over each other, no type is too small, and axe-core finds nothing.
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { renderGpuCheck } from "../../bench/gpu_check/page.ts";
import { inspectionPage } from "../../cli/inspect_page.ts";
import { cpu } from "../../cpu/backend.ts";
import { indexPage } from "../../report/index_page.ts";
import { equalSequences } from "../../tensor/sequences.ts";
import { inspectRouting } from "../../training/inspection.ts";
import { createTrainer } from "../../training/trainer.ts";
import { browserTest, MOST_MILLISECONDS, wrongByAxe } from "../browser_test_case.ts";
import { madeUpCheck } from "../made_up_gpu_check.ts";
import { finalLossOf, routers } from "../made_up_runs.ts";
import { least, madeUpData, tinyConfig } from "../run_configs.ts";
import { wideReport } from "../wide_report.ts";

const checks = await Deno.readTextFile(new URL("../page_checks.js", import.meta.url));

function pageTest(name: string, body: (page: Page) => Promise<void>): void {
  browserTest(name, async (browser) => {
    const page = await browser.newPage();
    page.setDefaultTimeout(MOST_MILLISECONDS);
    await body(page);
  });
}

interface Showing {
  readonly width: number;
  readonly theme: "light" | "dark";
}

async function show(page: Page, html: string, { width, theme }: Showing): Promise<void> {
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme: theme });
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

/** What a model of two mixtures does with a text, after a few steps. */
async function routing(): Promise<string> {
  using backend = await cpu({ threads: 1 });
  const layers = { "model.layers": 2, "model.moeEvery": 1, "train.steps": 3 };
  const data = await madeUpData();
  using trainer = await createTrainer(tinyConfig("gshard", {}, least, layers), { backend, data });
  await trainer.step();
  const tokenId = Int32Array.from({ length: 300 }, (_, at) => at % 40);
  const inspection = await inspectRouting(trainer.model, backend, {
    tokenId,
    sequences: equalSequences(10, 30),
    step: 1,
  });
  const nameOf = (row: number) => data.nameOf(row) ?? String(row);
  const names = { texts: Array.from(tokenId, (id) => ` ${nameOf(id)}`), starts: [0], nameOf };
  const about = { title: "Routing of gshard-seed0", lead: "Router gshard.", meta: "300 tokens", changes: [] };
  return inspectionPage(about, inspection, names, 200);
}

const pages: Readonly<Record<string, () => string | Promise<string>>> = {
  "a page of routing": routing,
  "a list of runs": listOfRuns,
  "a check of a GPU": () => renderGpuCheck(madeUpCheck),
  "a report of 18 variants": () => wideReport(18),
  "a report of 3 variants on two tasks": () => wideReport(3, ["recall", "regimes"]),
};

for (const [name, html] of Object.entries(pages)) {
  pageTest(`${name} holds at 1280, 768 and 390 pixels, light and dark`, async (page) => {
    const text = await html();
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
    const text = await html();
    await page.setViewportSize({ width: 794, height: 1123 });
    await page.emulateMedia({ media: "print" });
    await page.setContent(text);
    await page.evaluate(checks);
    assertEquals(await wrongWith(page), []);
    // What is closed on the screen is there, and no table is cut where it would scroll. A style opens it, which Chromium
    // knows from version 131 on.
    assert(await page.evaluate(`CSS.supports("selector(::details-content)")`), "this Chromium is too old");
    assertEquals(await page.evaluate("pageChecks.hidden()"), []);
    assertEquals(await page.evaluate("pageChecks.cut()"), []);
  });
}

pageTest(
  "a pointer over lines is told their values; without scripts a report reads the same",
  async (page) => {
    const text = wideReport(3);
    await page.setViewportSize({ width: 1280, height: 900 });
    const read = async (shown: Page) => {
      await shown.setContent(text);
      return await shown.evaluate("document.querySelector('main').innerText");
    };
    const without = await page.context().browser()!.newContext({
      javaScriptEnabled: false,
      viewport: { width: 1280, height: 900 },
    });
    assertEquals(await read(await without.newPage()), await read(page));
    await without.close();
    const chart = (await page.$('svg[aria-label^="Validation loss over steps"]'))!;
    await chart.scrollIntoViewIfNeeded();
    const { x, y, width } = (await chart.boundingBox())!;
    await page.mouse.move(x + width * 0.4, y + 100);
    const told = (await page.evaluate("document.querySelector('.told')?.textContent")) as string;
    const step = Number(told.split("\n")[0]);
    assert(step > 0 && step < 60, told);
    // As made_up_runs.ts has it: 4.1 nats above the end at first, less by e every tenth of the steps; means over three seeds.
    const ends = [0, 1, 2].map((seed) => finalLossOf(routers.switch, seed));
    const wanted = ends.reduce((sum, end) => sum + end) / 3 + 4.1 * Math.exp(-step / 10) - 4.1 * Math.exp(-6);
    const found = Number(told.match(/^switch: (.+)$/m)![1]);
    // A drawing rounds places to a hundredth of a unit, of about 200 for 7 nats.
    assert(Math.abs(found - wanted) < 0.01, `${found} for ${wanted}`);
    await page.mouse.move(0, 0);
    assertEquals(await page.evaluate("document.querySelector('.told')"), null);
  },
);
