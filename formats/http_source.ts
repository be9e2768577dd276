// A file behind a web address, by range requests (RFC 9110, section 14): only the bytes that are asked for are sent.
import { type ByteSource, pour } from "./byte_source.ts";

/** An answer with a part of the file. */
interface Part {
  readonly body: ReadableStream<Uint8Array>;
  /** Bytes of the whole file. */
  readonly bytes: number;
  /** The server's name for this version of the file; null where it gives none. */
  readonly version: string | null;
}

/**
 * Opens an address.
 * @throws {Error} when the server does not answer, does not have the file, or sends it only whole.
 */
export async function openHttp(address: string, name: string): Promise<ByteSource> {
  const first = await ask(address, 0, 1, name);
  await first?.body.cancel();
  return {
    name,
    bytes: first?.bytes ?? 0,
    async read(from, into) {
      if (into.length === 0) return;
      const part = await ask(address, from, into.length, name);
      if (part?.bytes === first?.bytes && part?.version === first?.version && part) {
        return await pour(part.body, into, name, from);
      }
      await part?.body.cancel();
      throw new Error(`Cannot read ${name}: it has changed since it was first looked at; start again`);
    },
  };
}

/** Asks for a range; null when the file is empty. */
async function ask(address: string, from: number, bytes: number, name: string): Promise<Part | null> {
  const headers = { range: `bytes=${from}-${from + bytes - 1}`, "accept-encoding": "identity" };
  const response = await fetch(address, { headers }).catch((cause: Error) => {
    throw new Error(`Cannot read ${name}: ${cause.message}`, { cause });
  });
  const range = response.headers.get("content-range") ?? "";
  const [, begins, size] = /^bytes (\d+)-\d+\/(\d+)$/.exec(range) ?? [];
  if (response.status === 206 && response.body && Number(begins) === from) {
    return { body: response.body, bytes: Number(size), version: response.headers.get("etag") };
  }
  await response.body?.cancel();
  if (response.status === 416 && range === "bytes */0") return null;
  throw new Error(`Cannot read ${name}: ${whyNot(response, range)}`);
}

function whyNot({ ok, status, statusText }: Response, range: string): string {
  if (!ok) return `the server answers ${status} ${statusText}`.trimEnd();
  if (status !== 206) return "the server sends it only whole, not by range";
  return `the server sends the range "${range}", not the one asked for and the size of the whole`;
}
