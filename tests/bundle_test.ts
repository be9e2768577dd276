// What a page carries that imports the package: mod.ts in one file, without code splitting, as bundlers make it by default.
import { assert, assertEquals } from "@std/assert";
import * as esbuild from "esbuild";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { linkPackages } from "../tools/playground/packages.ts";

const entry = new URL("../mod.ts", import.meta.url);

/** Bytes of the same bundle before there were files of models, ONNX and tokenizers: of the commit before ecc5aaa. */
const before = { raw: 749_073, gzip: 297_076 };

Deno.test("mod.ts brings no package that reads or writes files, and what does grew its bundle by less than 5 %", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await linkPackages(entry, folder);
    const { outputFiles, metafile } = await esbuild.build({
      ...{ bundle: true, target: "es2022", platform: "browser", format: "esm" },
      ...{ minify: true, legalComments: "none", logLevel: "error", metafile: true, write: false },
      loader: { ".wgsl": "text" },
      external: ["node:*"],
      nodePaths: [folder],
      entryPoints: [entry.pathname],
    });
    const [{ contents }] = outputFiles!;
    const [{ inputs }] = Object.values(metafile!.outputs);
    const root = new URL("../", import.meta.url).pathname;
    const elsewhere = Object.keys(inputs).map((path) => resolve(path)).filter((path) =>
      !path.startsWith(root)
    );
    const small = await Promise.all(
      ["zod", "jstat", "leven"].map(async (name) => `${await Deno.realPath(`${folder}/${name}`)}/`),
    );
    assert(elsewhere.length > 0);
    assertEquals(elsewhere.filter((path) => !small.some((one) => path.startsWith(one))), []);
    const size = { raw: contents.length, gzip: gzipSync(contents).length };
    assert(size.raw < 1.05 * before.raw && size.gzip < 1.05 * before.gzip, JSON.stringify(size));
  } finally {
    await esbuild.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
