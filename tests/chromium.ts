// A real Chromium with the package in its pages: they are bundled and served from this process, call what their address
// asks for (browser_page.ts) and send back what came of it.
import { assert } from "@std/assert";
import { threadProgram } from "../cpu/threads.ts";
import type { Answer, Page } from "./browser_page.ts";
import { programOf } from "./programs.ts";

const isolated = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Headers of each kind of page: isolated, isolated but without workers from a Blob, and as a plain server sends it. */
const headers = {
  isolated,
  forbidding: { ...isolated, "content-security-policy": "default-src 'self' 'wasm-unsafe-eval'" },
  plain: {},
} as const satisfies Record<string, Record<string, string>>;

/** No window, and nothing fetched. */
const WORDS = ["--headless", "--no-sandbox", "--no-first-run", "--disable-background-networking"];

/** A WebGPU that computes on the CPU. */
export const softwareGpu: readonly string[] = [
  ...["--enable-unsafe-webgpu", "--use-angle=swiftshader", "--use-webgpu-adapter=swiftshader"],
];
const MOST_MILLISECONDS = 600_000;

/** Where it is; null on a machine without it, whose tests in a browser are skipped. */
export const chromium = programOf("chromium", "chromium-browser", "google-chrome");

// .ci/run installs it, and says so here where it cannot.
export const skipsBrowsers: boolean = chromium === null &&
  (Deno.env.get("CI") !== "true" || Deno.env.get("WITHOUT_CHROMIUM") === "true");
if (skipsBrowsers) console.log("Tests in a browser are skipped: there is no Chromium (Debian: chromium).");

/** One script of a test file and all that it imports. */
async function bundled(name: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", name],
    cwd: new URL(".", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot bundle ${name}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Pages of a browser. */
export interface Pages extends AsyncDisposable {
  /** Calls something that pages offer, in a page with such headers of a browser of its own. */
  call<N extends keyof Page>(
    kind: keyof typeof headers,
    name: N,
    ...given: Parameters<Page[N]>
  ): ReturnType<Page[N]>;
}

/** A test with pages of a browser of its own. */
export function pagesTest(name: string, body: (pages: Pages) => Promise<void>): void {
  Deno.test({
    name,
    ignore: skipsBrowsers,
    fn: async () => {
      assert(chromium !== null, "there is no Chromium (Debian: chromium)");
      await using pages = await openPages(chromium);
      await body(pages);
    },
    sanitizeResources: false,
    sanitizeOps: false,
  });
}

/** Serves pages to browsers that are started as `program`; one call at a time. */
async function openPages(program: string): Promise<Pages> {
  const scripts = new Map([
    ["/page.js", await bundled("browser_page.ts")],
    ["/worker.js", await bundled("cpu_in_worker.ts")],
    ["/thread.js", threadProgram],
  ]);
  let answer: (found: Answer) => void = () => {};
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      answer(await request.json());
      return new Response("");
    }
    const script = scripts.get(pathname);
    if (script !== undefined) {
      return new Response(script, { headers: { ...isolated, "content-type": "text/javascript" } });
    }
    const own = headers[pathname.slice(1) as keyof typeof headers];
    if (!own) return new Response("", { status: 404 });
    const html = `<!doctype html><title>test</title><script type="module" src="/page.js"></script>`;
    return new Response(html, { headers: { ...own, "content-type": "text/html" } });
  });
  async function ask(kind: string, name: string, given: readonly unknown[]): Promise<unknown> {
    const answered = new Promise<Answer>((resolve) => answer = resolve);
    const asked = encodeURIComponent(JSON.stringify([name, given]));
    const url = `http://127.0.0.1:${server.addr.port}/${kind}?${asked}`;
    const found = await inBrowser(program, url, answered);
    if ("error" in found) throw new Error(`Cannot run ${name} in a page: ${found.error}`);
    return found.value;
  }

  return {
    call: (kind, name, ...given) => ask(kind, name, given) as ReturnType<Page[typeof name]>,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Shows a page until it has answered. */
async function inBrowser(program: string, url: string, answered: Promise<Answer>): Promise<Answer> {
  const profile = await Deno.makeTempDir();
  const over = new AbortController();
  const child = new Deno.Command(program, {
    args: [...WORDS, ...softwareGpu, `--user-data-dir=${profile}`, url],
    env: { TMPDIR: profile },
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.any([over.signal, AbortSignal.timeout(MOST_MILLISECONDS)]),
  }).spawn();
  const ended = child.status.then((): Answer => ({ error: "the browser ended, or took too long" }));
  try {
    return await Promise.race([answered, ended]);
  } finally {
    over.abort();
    await ended;
    await Deno.remove(profile, { recursive: true }).catch(() => {}); // Its helpers may still be closing files.
  }
}
