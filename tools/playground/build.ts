// The page's files: scripts bundled and lowered to what browsers run today, style with the report's colours, the corpus, and
// the page itself. What the page and its workers share is loaded once.
import * as esbuild from "esbuild";
import config from "../../deno.json" with { type: "json" };
import { CORPUS_FILE } from "../../playground/assets.ts";
import { colorVariables } from "../../report/palette.ts";
import { skeletonOf } from "../new_plugin.ts";
import { routerFiles } from "../new_router.ts";
import { corpusText } from "./corpus.ts";
import { linkPackages } from "./packages.ts";
import { shorterShaders, specialFunctions, withoutCompiler, withoutTranslations } from "./shorter.ts";
import { singleFile } from "./single_file.ts";

const source = new URL("../../playground/", import.meta.url);

/** Options of every bundle: `using` is not in ES2022 and is lowered. */
const common = {
  bundle: true,
  target: "es2022",
  platform: "browser",
  minify: true,
  legalComments: "none",
  logLevel: "error",
  plugins: [shorterShaders, withoutTranslations, withoutCompiler, specialFunctions],
} as const satisfies esbuild.BuildOptions;

/** Bundles with the page's npm packages at hand. */
async function bundle(
  entries: readonly string[],
  options: esbuild.BuildOptions,
): Promise<esbuild.BuildResult> {
  const packages = await Deno.makeTempDir();
  try {
    await linkPackages(new URL("main.ts", source), packages);
    return await esbuild.build({
      ...common,
      ...options,
      entryPoints: entries.map((name) => pathOf(new URL(name, source))),
      nodePaths: [packages],
    });
  } finally {
    await Deno.remove(packages, { recursive: true });
  }
}

/** Writes the page into a folder, which is emptied first. */
export async function buildPage(dist: URL): Promise<void> {
  await Deno.remove(dist, { recursive: true }).catch(() => {});
  await Deno.mkdir(dist, { recursive: true });
  await bundle(["main.ts", "worker.ts", "isolate.ts"], {
    outdir: pathOf(dist),
    format: "esm",
    splitting: true,
  });
  await Deno.writeTextFile(new URL(CORPUS_FILE, dist), await corpusText());
  await Deno.writeTextFile(new URL("style.css", dist), await styleText());
  await Deno.writeTextFile(new URL("index.html", dist), await pageText());
  await esbuild.stop();
}

/** Writes the page as one file. */
export async function buildSingleFile(file: URL): Promise<void> {
  const { outputFiles } = await bundle(["single.ts"], {
    format: "iife",
    write: false,
    // A script from a Blob has no address that others are relative to; nothing that a page uses is.
    define: { "import.meta.url": '"file:///playground/program.js"' },
  });
  const parts = { html: await pageText(), style: await styleText(), corpus: await corpusText() };
  await Deno.mkdir(new URL("./", file), { recursive: true });
  await Deno.writeTextFile(file, await singleFile({ ...parts, program: outputFiles![0].text }));
  await esbuild.stop();
}

async function styleText(): Promise<string> {
  const own = await Deno.readTextFile(new URL("style.css", source));
  const colors = `:root { ${colorVariables("light")} }\n` +
    `@media (prefers-color-scheme: dark) { :root { ${colorVariables("dark")} } }\n`;
  return (await esbuild.transform(colors + own, { loader: "css", minify: true })).code;
}

async function pageText(): Promise<string> {
  const html = await Deno.readTextFile(new URL("index.html", source));
  const skeleton = skeletonOf(routerFiles(new Date().getFullYear()), "my-router");
  return html.replace('data-version=""', `data-version="${config.version}"`)
    .replace(/(?<=id="skeleton">)/, () => skeleton.replaceAll("</script", "<\\/script"));
}

function pathOf(url: URL): string {
  return decodeURIComponent(url.pathname);
}
