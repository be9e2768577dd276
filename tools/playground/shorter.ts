// What the page can do without: comments of shaders, and zod's messages in other languages.
import type { Plugin } from "esbuild";

/** A bundler's plugin: WGSL files as shorter texts. */
export const shorterShaders: Plugin = {
  name: "shorter shaders",
  setup(build) {
    build.onLoad({ filter: /\.wgsl$/ }, async ({ path }) => ({
      contents: shorter(await Deno.readTextFile(path)),
      loader: "text",
    }));
  },
};

/** WGSL has no text literals, so two strokes always begin a comment. */
export function shorter(wgsl: string): string {
  return wgsl.replace(/\/\/.*$/gm, "").replace(/^\s+|\s+$/gm, "").replace(/\n+/g, "\n");
}

/** A bundler's plugin: programs of the user's have all of zod but its translations, 65 KB of gzip. */
export const withoutTranslations: Plugin = {
  name: "without translations",
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/].*[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
      loader: "js",
    }));
  },
};
