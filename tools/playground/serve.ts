// A web server for dist/: this machine alone, and the two headers without which a browser shares no memory between threads.

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  json: "application/json; charset=utf-8",
  txt: "text/plain; charset=utf-8",
};

/** Headers of every answer. */
export const isolation: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Serves a folder's files until the server is shut down. */
export function servePage(
  folder: URL,
  port: number,
  headers: Readonly<Record<string, string>> = isolation,
): Deno.HttpServer<Deno.NetAddr> {
  const serve = filesOf(folder, headers);
  return Deno.serve(
    { hostname: "127.0.0.1", port, onListen() {} },
    ({ url }) => serve(new URL(url).pathname),
  );
}

/** Answers with a folder's files. */
export function filesOf(
  folder: URL,
  headers: Readonly<Record<string, string>> = isolation,
): (path: string) => Promise<Response> {
  return async (path) => {
    const name = path.slice(1) || "index.html";
    const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
    // Names in dist/ are plain; anything else is not ours.
    if (!type || !/^[\w.-]+$/.test(name)) return new Response("not found", { status: 404, headers });
    try {
      const file = await Deno.open(new URL(name, folder));
      return new Response(file.readable, {
        headers: { ...headers, "content-type": type, "cache-control": "no-cache" },
      });
    } catch {
      return new Response("not found", { status: 404, headers });
    }
  };
}
