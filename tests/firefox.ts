// The playground in a real Firefox, without a driver: a page of ours (firefox_page.js) holds it in a frame, presses its
// buttons and sends back what it says.
import { filesOf, isolation } from "../tools/playground/serve.ts";
import { programOf } from "./programs.ts";

/** Where Firefox is; null on a machine without it, whose tests there are skipped. */
export const firefox = programOf("firefox-esr", "firefox");

// .ci/run installs it, and says so here where it cannot.
export const skipsFirefox: boolean = firefox === null &&
  (Deno.env.get("CI") !== "true" || Deno.env.get("WITHOUT_FIREFOX") === "true");
if (skipsFirefox) console.log("Tests in Firefox are skipped: there is no Firefox (Debian: firefox-esr).");

const MOST_MILLISECONDS = 900_000;

/** What one opening of the playground came to. */
export interface Opening {
  /** Texts of the first run's row. */
  readonly row: readonly string[];
  /** What it ran on. */
  readonly place: string;
}

/** Settings of a profile: nothing is shown before our page, and nothing is fetched. */
const settings: Readonly<Record<string, boolean | string>> = {
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage": "about:blank",
  "app.update.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "toolkit.telemetry.enabled": false,
};

/**
 * Opens the playground again and again in one Firefox, each time until its first run has ended.
 * @param folder Of the built page.
 * @param first What runs before the page's own scripts.
 * @throws {Error} when an opening hangs.
 */
export async function openings(
  program: string,
  folder: URL,
  { times, address, first }: { readonly times: number; readonly address: string; readonly first: string },
): Promise<Opening[]> {
  const files = filesOf(folder);
  const headers = { ...isolation, "content-type": "text/javascript" };
  const answered = Promise.withResolvers<Opening[]>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") {
      const { opened, error } = await request.json();
      if (error) answered.reject(new Error(error));
      else answered.resolve(opened);
      return new Response("");
    }
    if (pathname === "/frame.html") {
      const html = `<!doctype html><title>test</title><script type="module" src="frame.js"></script>`;
      return new Response(html, { headers: { ...isolation, "content-type": "text/html" } });
    }
    if (pathname === "/frame.js") {
      return new Response(await Deno.readTextFile(new URL("firefox_page.js", import.meta.url)), { headers });
    }
    const file = await files(pathname);
    return pathname === "/main.js" ? new Response(`${first}\n${await file.text()}`, { headers }) : file;
  });
  const asked = encodeURIComponent(JSON.stringify({ times, address }));
  try {
    return await inFirefox(
      program,
      `http://127.0.0.1:${server.addr.port}/frame.html?${asked}`,
      answered.promise,
    );
  } finally {
    await server.shutdown();
  }
}

/** Shows a page until it has answered. */
async function inFirefox(program: string, url: string, answered: Promise<Opening[]>): Promise<Opening[]> {
  const profile = await Deno.makeTempDir();
  const lines = Object.entries(settings).map(([name, value]) =>
    `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`
  );
  await Deno.writeTextFile(`${profile}/user.js`, lines.join("\n"));
  const over = new AbortController();
  const child = new Deno.Command(program, {
    args: ["--headless", "--no-remote", "--profile", profile, url],
    env: { TMPDIR: profile, HOME: profile },
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.any([over.signal, AbortSignal.timeout(MOST_MILLISECONDS)]),
  }).spawn();
  const ended = child.status.then((): never => {
    throw new Error("Cannot go on: Firefox ended, or took too long");
  });
  try {
    return await Promise.race([answered, ended]);
  } finally {
    over.abort();
    await child.status;
    await Deno.remove(profile, { recursive: true }).catch(() => {}); // Its helpers may still be closing files.
  }
}
