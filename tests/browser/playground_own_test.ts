// A router of the user's in the playground, in a real Chromium: the skeleton trains as it is, whatever is wrong is said with
// its line, and the page lives on.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { skeletonOf } from "../../tools/new_plugin.ts";
import { routerFiles } from "../../tools/new_router.ts";
import {
  type OpenPage,
  type Playground,
  playgroundTest,
  trainedRecords,
  untilFinished,
} from "../playground.ts";

const skeleton = skeletonOf(routerFiles(new Date().getFullYear()), "my-router");
const small = "size=tiny&train.steps=12";
const SCORES = "        const probability_TE = softmax(";

/** The skeleton with text put before the line that scores, which keeps its number. */
function withLine(text: string): { readonly source: string; readonly line: number } {
  const at = skeleton.indexOf(SCORES);
  assert(at > 0);
  return {
    source: skeleton.slice(0, at) + text + skeleton.slice(at),
    line: skeleton.slice(0, at).split("\n").length,
  };
}

async function openPane(playground: Playground, source: string | null): Promise<OpenPage> {
  const open = await playground.open(small);
  const { page } = open;
  await page.click("#own summary");
  await page.waitForSelector(".cm-content");
  if (source !== null) await write(page, source);
  return open;
}

async function write(page: Page, source: string): Promise<void> {
  await page.locator(".cm-content").focus();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(source);
}

/** What the pane says once it has read the program. */
async function saidOf(page: Page): Promise<string> {
  await page.click("#own-use");
  await page.waitForFunction(() => document.querySelector("#own-said")?.textContent !== "", null, {
    timeout: 30_000,
  });
  return await page.textContent("#own-said") ?? "";
}

playgroundTest(
  "the skeleton trains unchanged beside switch, and its address waits to be allowed to",
  async (playground) => {
    await using open = await openPane(playground, null);
    const { page } = open;
    await page.click("#own-use");
    await page.waitForFunction(() =>
      document.querySelector<HTMLSelectElement>("#router")?.value === "my-router"
    );
    assertEquals(await page.inputValue("#beside"), "switch");
    assertEquals(await page.inputValue("#router-initScale"), "0.1");
    const records = await trainedRecords(page);
    assertEquals(records.match(/"router":"[\w-]+"/g), ['"router":"my-router"', '"router":"switch"']);
    assertEquals(records.match(/"kind":"end"/g)?.length, 2);
    assertEquals(open.complaints, []);

    await using again = await playground.open(new URL(page.url()).hash.slice(1));
    assert(await again.page.isVisible("#own-notice"));
    assertEquals(again.page.workers().length, 0);
    assertEquals(await trainedRecords(again.page), records);
    assert(!await again.page.isVisible("#own-notice"));
  },
);

playgroundTest("what is wrong with a program is said with its line", async (playground) => {
  await using open = await openPane(playground, null);
  const { page } = open;
  for (
    const [source, said] of [
      ["const a = 1;\nconst b = ;\n", "line 2: Unexpected token"],
      ["export const a = 1;\n\nawait 1;\n", /^line 3: SyntaxError: /],
      ["const a: number = 1;\n\na.b.c;\n", /^line 3: Cannot read properties of undefined/],
      [
        'import { topK } from "../tensor/rows.ts";\nimport { topJ } from "../tensor/rows.ts";\n\ntopJ(topK);',
        /^line 4: Cannot import topJ from "\.\.\/tensor\/rows\.ts": /,
      ],
      ['import { read } from "node:fs";\nread();', /^line 1: Cannot import "node:fs" in a page: there are/],
      ["export const a = 1;", /^Cannot use this program: it exports no router/],
      [
        skeleton.replace('name: "my-router"', 'name: "switch"'),
        /^Cannot register router "switch": the name is taken/,
      ],
    ] as const
  ) {
    await write(page, source);
    const found = await saidOf(page);
    if (typeof said === "string") assertEquals(found, said);
    else assertMatch(found, said);
    const line = found.match(/^line (\d+)/)?.[1];
    assertEquals(
      await page.locator(".cm-lintRange-error, .cm-lintPoint-error").count() > 0,
      line !== undefined,
    );
  }
  assertEquals(await page.inputValue("#router"), "switch");
});

for (
  const [what, text, said] of [
    [
      "an error of its own",
      'if (x_TD.shape[0] > 1) throw new TypeError("no such gate");\n',
      "TypeError: no such gate",
    ],
    ["a mistake that the package finds", "matmul(gate_DE, x_TD);\n", "cannot multiply|Cannot "],
    ["a mistake that the engine finds", "(null as any).weights;\n", "Cannot read properties of null"],
  ] as const
) {
  playgroundTest(
    `${what} while a router trains ends its run with the line, and not the one beside it`,
    async (playground) => {
      const { source, line } = withLine(text);
      await using open = await openPane(playground, source);
      const { page } = open;
      await page.click("#own-use");
      await page.waitForFunction(() =>
        document.querySelector<HTMLSelectElement>("#router")?.value === "my-router"
      );
      await page.click("#train");
      await untilFinished(page);
      assertEquals(await page.locator("#runs td:nth-child(2)").allTextContents(), ["failed", "finished"]);
      const found = await page.textContent("#own-said") ?? "";
      assertMatch(found, new RegExp(`^line ${line}: .*(${said})`));
      assert(!found.includes("blob:"), found);
      assertMatch(await page.textContent("#said") ?? "", new RegExp(`^my-router: line ${line}: `));
    },
  );
}

playgroundTest(
  "an endless loop is ended after five seconds, with its line, and the page lives on",
  async (playground) => {
    const { source, line } = withLine("let turns = 0;\n        while (true) turns++;\n");
    await using open = await openPane(playground, source);
    const { page } = open;
    await page.click("#own-use");
    await page.waitForFunction(() =>
      document.querySelector<HTMLSelectElement>("#router")?.value === "my-router"
    );
    const start = performance.now();
    await page.click("#train");
    await untilFinished(page);
    const seconds = (performance.now() - start) / 1000;
    assert(seconds > 4.5 && seconds < 20, `${seconds} s`);
    assertMatch(
      await page.textContent("#own-said") ?? "",
      new RegExp(`^line ${line + 1}: this loop has run for 5 seconds`),
    );
    await write(page, "for (;;) {\n}\n");
    assertMatch(await saidOf(page), /^line 1: this loop has run for 5 seconds/);
    await page.selectOption("#beside", "none");
    await page.selectOption("#router", "hash");
    await untilFinished(page);
    assertMatch(await trainedRecords(page), /"kind":"end"/);
  },
);
