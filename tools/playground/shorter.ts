// What the page can do without: comments of shaders, zod's messages in other languages and what it compiles schemas with,
// and all of jstat but its special functions.
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

/** A bundler's plugin: `z.compile` makes a text and evaluates it, which the page's policy forbids. */
export const withoutCompiler: Plugin = {
  name: "without compiler",
  setup(build) {
    build.onLoad({ filter: /[\\/]zod[\\/].*[\\/]core[\\/]compile\.js$/ }, () => ({
      contents: `export const INVALID = Symbol.for("zod.compile.invalid");
        export class ZodCompileAsyncError extends Error {}
        export class ZodCompileUnsupportedError extends Error {}
        export function compile() {
          throw new TypeError("Cannot compile a schema in a page: its policy forbids evaluating texts");
        }
        export { compile as compileFn, compile as withParser };`,
      loader: "js",
    }));
  },
};

/** Sources of jstat that a router takes functions from, in the order of its own build. */
const JSTAT = ["_header", "core", "special", "_footer"];

/** A bundler's plugin: of jstat its special functions alone, which LocMoE's bound on capacity is made of. */
export const specialFunctions: Plugin = {
  name: "special functions",
  setup(build) {
    build.onLoad({ filter: /[\\/]jstat[\\/].*[\\/]dist[\\/]jstat\.js$/ }, async ({ path }) => {
      const source = (name: string) => path.replace(/dist([\\/])jstat\.js$/, `src$1${name}.js`);
      const texts = await Promise.all(JSTAT.map((name) => Deno.readTextFile(source(name))));
      return { contents: texts.join("\n"), loader: "js" };
    });
  },
};
