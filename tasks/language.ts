// Language: the next word, byte or sub-word of a text. The Brown corpus unless told otherwise, since it has parts of speech and genres to
// judge specialisation by.
import { findSize, type SizeName, sizes, vocabularies } from "../models/sizes.ts";
import { loadText, type TextOptions, textOptions } from "./text.ts";
import type { TaskPlugin } from "./task.ts";

/** Options of {@linkcode language}. */
export type LanguageOptions = TextOptions;

/**
 * Language modelling.
 * @example
 * ```ts
 * import { language, parseTaskOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const { labels, nameOf } = await language.load(parseTaskOptions(language, { vocabulary: 1024 }));
 * assertEquals([labels.map(({ name }) => name), nameOf(1)], [["part of speech", "genre"], "the"]);
 * ```
 */
export const language: TaskPlugin<LanguageOptions> = {
  name: "language",
  about: "The next word, byte or sub-word of a text: a corpus by name, or a text of your own.",
  source: "Brown corpus: Francis and Kucera 1964, tags folded to those of Petrov, Das, McDonald 2012.",
  options: textOptions({ corpus: "brown", unit: "words", validationShare: 0.1 }),
  defaults: sizeOf("small"),
  sizes: Object.fromEntries(Object.keys(sizes).map((name) => [name, sizeOf(name as SizeName)])),
  load: loadText,
};

function sizeOf(name: SizeName): Readonly<Record<string, unknown>> {
  return { ...findSize(name), "task.vocabulary": vocabularies[name] };
}
