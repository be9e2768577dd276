// Language: the next word of a text. The Brown corpus unless told otherwise, since it has parts of speech and genres to
// judge specialisation by.
import { loadText, type TextOptions, textOptions } from "./text.ts";
import type { TaskPlugin } from "./task.ts";

/** Options of {@linkcode language}. */
export type LanguageOptions = TextOptions;

/** Language modelling. */
export const language: TaskPlugin<LanguageOptions> = {
  name: "language",
  about: "The next word (or byte) of a text: a corpus by name, or a text of your own.",
  source: "Brown corpus: Francis and Kucera 1964, tags folded to those of Petrov, Das, McDonald 2012.",
  options: textOptions({ corpus: "brown", unit: "words", validationShare: 0.1 }),
  defaults: {},
  load: loadText,
};
