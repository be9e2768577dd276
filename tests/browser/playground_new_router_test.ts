// A router that `deno task new:router` writes is in the playground with its options, which refuse what the command refuses, in
// the command's words.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { browserTest } from "../browser_test_case.ts";
import { inOwnFolder } from "../own_folder.ts";
import { openPage, playgroundTest, trainedRecords } from "../playground.ts";
import { copyRepository, deno } from "../repository_copy.ts";
import { runTask } from "../task_command.ts";
import { servePage } from "../../tools/playground/serve.ts";

/** Opens what is closed, so that every field can be reached. */
const openAll = (page: Page) =>
  page.evaluate(() => document.querySelectorAll("details").forEach((each) => each.open = true));

browserTest("a new router is in the page without another edit", (browser) =>
  inOwnFolder(async (copy) => {
    await copyRepository(copy);
    await deno(copy, "task", "new:router", "second-guess");
    await deno(copy, "task", "index");
    await deno(copy, "task", "playground", "--build");
    const dist = new URL(`file://${copy}/dist/`);
    const server = servePage(dist, 0);
    try {
      const url = `http://127.0.0.1:${server.addr.port}/#size=tiny&train.steps=6`;
      await using open = await openPage(browser, dist, url, {});
      const { page } = open;
      await page.selectOption("#router", "second-guess");
      assertEquals(await page.inputValue("#router-initScale"), "0.1");
      assertMatch(await page.textContent("#router-initScale-about") ?? "", /^s of the gate's init/);
      const records = await trainedRecords(page);
      assertMatch(records, /"router":"second-guess"/);
      assertEquals(records.match(/"kind":"step"/g)?.length, 6);
      await openAll(page);
      await page.fill("#router-initScale", "0");
      await page.press("#router-initScale", "Tab");
      assertEquals(await page.textContent("#problem"), await refusalIn(copy, "second-guess.initScale=0"));
      assertEquals(open.complaints, []);
    } finally {
      await server.shutdown();
    }
  }));

/** What the command in a copy of the repository refuses a value with. */
async function refusalIn(copy: string, set: string): Promise<string> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "cli/experiments.ts",
      "--routers",
      set.split(".")[0],
      "--set",
      set,
      "--out",
      `${copy}/out`,
    ],
    cwd: copy,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  assertEquals(code, 1);
  return new TextDecoder().decode(stderr).trim();
}

playgroundTest("a value out of range is refused with the sentence of --set", async (playground) => {
  await using open = await playground.open("");
  const { page } = open;
  for (
    const [field, set, value] of [
      ["router-capacityFactor", "switch.capacityFactor", "-1"],
      ["router-balance", "switch.balance", "much"],
      ["setting-train.steps", "train.steps", "0"],
      ["setting-model.heads", "model.heads", "1.5"],
    ] as const
  ) {
    const input = page.locator(`[id="${field}"]`);
    await openAll(page);
    await input.fill(value);
    await input.press("Tab");
    const said = await page.locator(`[id="${field}-problem"]`).textContent() ?? "";
    const words = ["--routers", "switch", "--size", "tiny", "--out", "refused"];
    const { code, error } = await runTask("experiments", [...words, "--set", `${set}=${value}`]);
    assertEquals(code, 1);
    assert(said !== "" && error.trim() === said, `${said}; the command: ${error}`);
  }
});
