// Shaders for the page without their comments and indentation, a third of what they weigh.
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
