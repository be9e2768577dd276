// A report on this machine's loopback, with a script that shows it anew when its file has changed. The file itself has none.
import { dirname, normalize, resolve, sep } from "node:path";
import { isMissing, readBytes, readText } from "../formats/files.ts";

const refresh = `<script>
  let shown = null;
  setInterval(async () => {
    const answer = await fetch("/modified").catch(() => null);
    const now = answer?.ok ? await answer.text() : shown;
    if (shown !== null && now !== shown) location.reload();
    shown = now;
  }, 2000);
</script>`;

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  csv: "text/csv; charset=utf-8",
  json: "application/json",
};

/** A served page. */
export interface Served extends AsyncDisposable {
  /** Where a browser finds it. */
  readonly url: string;
  /** Settles when the server ends. */
  readonly ended: Promise<void>;
}

async function modified(path: string): Promise<string> {
  return await isMissing(path) ? "" : String((await Deno.stat(path)).mtime?.getTime());
}

/** A file below the page's folder, as asked for; null for what lies elsewhere, or nowhere. */
async function below(folder: string, pathname: string): Promise<string | null> {
  const path = resolve(folder, normalize(`.${decodeURIComponent(pathname)}`));
  if (!path.startsWith(folder + sep) || await isMissing(path) || (await Deno.stat(path)).isDirectory) {
    return null;
  }
  return path;
}

/** Serves a page, and the files below its folder, to this machine alone. */
export function servePage(path: string): Served {
  const folder = resolve(dirname(path));
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, hostname } = new URL(request.url);
    // A page elsewhere may have its own name lead here.
    if (hostname !== "127.0.0.1" && hostname !== "localhost") return new Response("", { status: 403 });
    if (pathname === "/modified") return new Response(await modified(path));
    const file = pathname === "/" ? path : await below(folder, pathname);
    if (file === null) return new Response("There is no such file.", { status: 404 });
    const headers = {
      "content-type": types[file.slice(file.lastIndexOf(".") + 1)] ?? "text/plain; charset=utf-8",
      "cache-control": "no-store",
    };
    if (pathname !== "/") return new Response(await readBytes(file), { headers });
    return new Response((await readText(file)).replace("</body>", () => `${refresh}</body>`), { headers });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    ended: server.finished,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
