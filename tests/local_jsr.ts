// A JSR on this machine: `deno publish` uploads the package to it and a consumer imports from it, so what is tested is
// the very upload, with its import map resolved, and not the checkout it came from.
import { assert, assertEquals } from "@std/assert";

/** A registry that holds what was published to it. */
export interface LocalJsr extends AsyncDisposable {
  /** What `JSR_URL` has to be. */
  readonly url: string;
  /** Every published file by path: `/mod.ts`. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Starts an empty registry on a free port. */
export function startLocalJsr(): LocalJsr {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let published: { scope: string; name: string; version: string } | null = null;

  /** What the command line tool asks before and while it publishes. */
  async function api(request: Request, path: string): Promise<Response> {
    const [, scope, name, version] =
      path.match(/^\/api\/scopes\/([^/]+)\/packages\/([^/]+)(?:\/versions\/([^/]+))?$/) ??
        [];
    if (request.method !== "POST") {
      return version === undefined ? Response.json({ scope, name }) : missing();
    }
    const unzipped = request.body!.pipeThrough(new DecompressionStream("gzip"));
    const archive = new Uint8Array(await new Response(unzipped).arrayBuffer());
    for (const [path, bytes] of untar(archive)) files.set(`/${path}`, bytes);
    published = { scope, name, version };
    return Response.json({ id: "1", status: "success" });
  }

  /** What an import asks for: versions, the manifest of one, its files. */
  async function packageFile(path: string): Promise<Response> {
    if (!published) return missing();
    const { scope, name, version } = published;
    const place = `/@${scope}/${name}/`;
    if (path === `${place}meta.json`) {
      return Response.json({ scope, name, latest: version, versions: { [version]: {} } });
    }
    if (path === `${place}${version}_meta.json`) {
      const manifest: Record<string, { size: number; checksum: string }> = {};
      for (const [file, bytes] of files) {
        manifest[file] = { size: bytes.length, checksum: `sha256-${await sha256(bytes)}` };
      }
      const { exports } = JSON.parse(new TextDecoder().decode(files.get("/deno.json")));
      return Response.json({ manifest, exports });
    }
    const bytes = files.get(path.replace(`${place}${version}`, ""));
    return bytes ? new Response(bytes) : missing();
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname } = new URL(request.url);
    return pathname.startsWith("/api/") ? api(request, pathname) : packageFile(pathname);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    files,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function missing(): Response {
  return Response.json({ code: "notFound", message: "not found" }, { status: 404 });
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Files of a tar archive: blocks of 512 bytes, a header and then the file's. */
export function* untar(archive: Uint8Array): Iterable<[path: string, bytes: Uint8Array<ArrayBuffer>]> {
  const text = (from: number, length: number) =>
    new TextDecoder().decode(archive.subarray(from, from + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const [name, prefix] = [text(at, 100), text(at + 345, 155)];
    const size = parseInt(text(at + 124, 12), 8);
    const kind = text(at + 156, 1);
    assert(Number.isInteger(size), `${name} has no size`);
    assertEquals(kind === "" || kind === "0", true, `${name} is a "${kind}" and not a file`);
    yield [prefix ? `${prefix}/${name}` : name, archive.slice(at + 512, at + 512 + size)];
    at += 512 * (1 + Math.ceil(size / 512));
  }
}
