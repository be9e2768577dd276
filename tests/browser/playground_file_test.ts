// The playground as one HTML file, opened from a disk in a real Chromium: it trains, with a router of the user's too, and
// its records make a report.
import { assertEquals, assertMatch } from "@std/assert";
import { buildSingleFile } from "../../tools/playground/build.ts";
import { fileTest, trainedRecords } from "../playground.ts";
import { recordsOf } from "../trained_here.ts";

/** The report that the command makes of saved records. */
async function reportOf(records: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/saved.jsonl`, records);
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "cli/report.ts", `${folder}/saved.jsonl`, "--out", `${folder}/page.html`],
      cwd: new URL("../../", import.meta.url),
      stdin: "null",
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return await Deno.readTextFile(`${folder}/page.html`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

fileTest(
  "a page from a disk trains on the CPU and on WebGPU, to Deno's records, which make a report",
  buildSingleFile,
  async (playground) => {
    const address = "task=recall&size=tiny&train.steps=20&beside=hash";
    await using open = await playground.open(address);
    const records = await trainedRecords(open.page);
    assertEquals(records, await recordsOf(address));
    assertMatch(
      await open.page.textContent("#place") ?? "",
      /Threads: one\. A page from a disk cannot share memory/,
    );
    assertEquals(open.complaints, []);
    assertMatch(await reportOf(records), /recall/);

    await using gpu = await playground.open("size=tiny&train.steps=3&device=webgpu");
    assertMatch(await trainedRecords(gpu.page), /"kind":"end"/);
    assertMatch(await gpu.page.textContent("#place") ?? "", /switch: WebGPU on /);
  },
);

fileTest(
  "a page from a disk has its corpus, and runs a router of the user's",
  buildSingleFile,
  async (playground) => {
    const address = "task=language&size=tiny&train.steps=4";
    await using text = await playground.open(address);
    assertEquals(await trainedRecords(text.page), await recordsOf(address));
    await using open = await playground.open("size=tiny&train.steps=4");
    const { page } = open;
    await page.click("#own summary");
    await page.waitForSelector(".cm-content");
    await page.click("#own-use");
    await page.waitForFunction(() =>
      document.querySelector<HTMLSelectElement>("#router")?.value === "my-router"
    );
    assertMatch(await trainedRecords(page), /"router":"my-router"/);
    await page.locator(".cm-content").focus();
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.insertText("const a: number = 1;\n\na.b.c;\n");
    await page.click("#own-use");
    await page.waitForFunction(() => document.querySelector("#own-said")?.textContent !== "");
    assertMatch(await page.textContent("#own-said") ?? "", /^line 3: Cannot read properties of undefined/);
  },
);
