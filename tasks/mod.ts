// Every task of this package. Written by `deno task index`. Do not edit.

export type * from "./task.ts";
export { language, type LanguageOptions } from "./language.ts";
export { languages, type LanguagesOptions } from "./languages.ts";
export { recall, type RecallOptions } from "./recall.ts";
export { regimes, type RegimesOptions } from "./regimes.ts";
export { regression, type RegressionOptions } from "./regression.ts";
