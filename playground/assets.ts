// Files beside the page.
/// <reference lib="dom" />

/** Address of a file that was built with the page. */
export function assetUrl(name: string): string {
  return new URL(name, document.baseURI).href;
}

/** Every tenth text of the Brown corpus. */
export const CORPUS_FILE = "brown_sample.json";
