// Files beside the page, or in it where the page is one file.
/// <reference lib="dom" />

/** Address of a file that was built with the page. */
export function assetUrl(name: string): string {
  const inside = document.getElementById(name)?.textContent;
  if (inside == null) return new URL(name, document.baseURI).href;
  // Workers of a page from a disk cannot fetch what the page has as a Blob.
  return `data:application/json;charset=utf-8,${encodeURIComponent(inside)}`;
}

/** Text of the page's program, where the page is one file; null where workers load theirs. */
export function programText(): string | null {
  return document.getElementById("program")?.textContent ?? null;
}

/** Every tenth text of the Brown corpus. */
export const CORPUS_FILE = "brown_sample.json";
