// From what a user names to bytes that are read by range.
import { type ByteSource, inBlob, inMemory } from "./byte_source.ts";
import { fillFrom, lookAt } from "./file_on_disk.ts";
import { pathOf } from "./files.ts";
import { openHttp } from "./http_source.ts";

/** Where bytes are: a path, an address (file, http or https), a Blob or File, bytes in memory, or a source of your own. */
export type Place = string | URL | Blob | Uint8Array | ByteSource;

/**
 * Opens bytes for reading by range.
 * @param name What errors call them; their path, address or kind by default.
 * @throws {Error} when they are not there or cannot be read by range, saying why.
 */
export async function openSource(place: Place, name?: string): Promise<ByteSource> {
  if (place instanceof Uint8Array) return inMemory(place, name ?? "bytes in memory");
  if (place instanceof Blob) return inBlob(place, name ?? (place instanceof File ? place.name : "a Blob"));
  if (typeof place !== "string" && !(place instanceof URL)) {
    return { name: name ?? place.name, bytes: place.bytes, read: (from, into) => place.read(from, into) };
  }
  if (isWeb(place)) return await openHttp(String(place), name ?? String(place));
  const seen = await lookAt(pathOf(place));
  return { name: name ?? seen.path, bytes: seen.bytes, read: (from, into) => fillFrom(seen, from, into) };
}

/** True for an address that is read over the network. */
export function isWeb(place: string | URL): boolean {
  return /^https?:/i.test(String(place));
}
