// The playground in a real Chromium: built once for a test file, served from this process, and driven by Playwright.
/// <reference lib="dom" />
import { gzipSync } from "node:zlib";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { buildPage } from "../tools/playground/build.ts";
import { servePage } from "../tools/playground/serve.ts";
import { browserTest, MOST_MILLISECONDS } from "./browser_test_case.ts";

/** A page of it, with what went wrong there. */
export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  /** Errors that nothing in the page caught, what its policy forbade, and messages of the console. */
  readonly complaints: readonly string[];
  /** Weight of the files that have been loaded so far, gzipped, in bytes. */
  loadedBytes(): number;
  /** A file of the built page. */
  fileOf(name: string): URL;
}

/** How to open a page. */
export interface OpenOptions extends BrowserContextOptions {
  /** `false` serves it without the headers that threads need. */
  readonly isolated?: boolean;
  /** What runs before the page's own scripts, and before a worker's. */
  readonly first?: { readonly page?: string; readonly worker?: string };
}

/** The built playground, served. */
export interface Playground {
  open(address?: string, options?: OpenOptions): Promise<OpenPage>;
}

/** A test with the playground, in a browser of its own. */
export function playgroundTest(name: string, body: (playground: Playground) => Promise<void>): void {
  browserTest(name, async (browser) => {
    const folder = await builtPage();
    const servers = { isolated: servePage(folder, 0), plain: servePage(folder, 0, {}) };
    try {
      await body({
        open(address = "", options = {}) {
          const { port } = servers[options.isolated === false ? "plain" : "isolated"].addr;
          return openPage(browser, folder, `http://127.0.0.1:${port}/#${address}`, options);
        },
      });
    } finally {
      await Promise.all([servers.isolated.shutdown(), servers.plain.shutdown()]);
    }
  });
}

/** A test with the playground as one file, opened from the disk. @param build Writes it. */
export function fileTest(
  name: string,
  build: (file: URL) => Promise<void>,
  body: (playground: Playground) => Promise<void>,
): void {
  browserTest(name, async (browser) => {
    const folder = new URL(`file://${await Deno.makeTempDir()}/`);
    try {
      const file = new URL("playground.html", folder);
      await build(file);
      await body({
        open: (address = "", options = {}) => openPage(browser, folder, `${file.href}#${address}`, options),
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

let built: Promise<URL> | undefined;

/** Where the page is built, once. */
export function builtPage(): Promise<URL> {
  return built ??= (async () => {
    const folder = new URL(`file://${await Deno.makeTempDir()}/dist/`);
    addEventListener("unload", () => Deno.removeSync(new URL("../", folder), { recursive: true }));
    await buildPage(folder);
    return folder;
  })();
}

/** Opens an address of a built page in a context of its own. */
export async function openPage(
  browser: Browser,
  folder: URL,
  url: string,
  { first = {}, ...options }: OpenOptions,
): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  await context.addInitScript(() =>
    addEventListener(
      "securitypolicyviolation",
      ({ violatedDirective, sample, sourceFile }) =>
        console.error(`The page's policy forbids: ${violatedDirective} ${sample} in ${sourceFile}`),
    )
  );
  if (first.page !== undefined) await context.addInitScript(first.page);
  if (first.worker !== undefined) {
    await context.route("**/worker.js", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, body: `${first.worker}\n${await answer.text()}` });
    });
  }
  context.setDefaultTimeout(MOST_MILLISECONDS);
  const page = await context.newPage();
  const complaints: string[] = [];
  const files = new Set<string>();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => complaints.push(message.text()));
  // Workers' own requests are events of the context alone.
  context.on("request", (request) => files.add(new URL(request.url()).pathname.slice(1) || "index.html"));
  await page.goto(url);
  return {
    page,
    complaints,
    loadedBytes: () =>
      [...files].filter((name) => /^[\w.-]+$/.test(name))
        .reduce((sum, name) => sum + gzipSync(Deno.readFileSync(new URL(name, folder))).length, 0),
    fileOf: (name) => new URL(name, folder),
    [Symbol.asyncDispose]: () => context.close(),
  };
}

/** Waits until every run of the page has ended as it should. */
export async function untilFinished(page: Page, milliseconds = 120_000): Promise<void> {
  await page.waitForFunction(
    () => {
      const stages = [...document.querySelectorAll("#runs tbody tr td:nth-child(2)")].map((cell) =>
        cell.textContent
      );
      return stages.length > 0 && stages.every((stage) => stage === "finished" || stage === "failed");
    },
    null,
    { timeout: milliseconds },
  );
}

/** Presses Train, waits, and returns the file that Save records gives. */
export async function trainedRecords(page: Page): Promise<string> {
  await page.click("#train");
  await untilFinished(page);
  return await savedRecords(page);
}

/** The file that Save records gives. */
export async function savedRecords(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  return await Deno.readTextFile(await download.path());
}
