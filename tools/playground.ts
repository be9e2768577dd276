// `deno task playground`: bundles the page of playground/ into dist/ and serves it to this machine, with the headers that
// threads need.
import { type CommandLine, runTask, wholeNumberOf } from "../cli/options.ts";
import { buildPage, buildSingleFile } from "./playground/build.ts";
import { servePage } from "./playground/serve.ts";

/** Its command line. */
export const line: CommandLine = {
  task: "playground",
  about:
    "Builds the playground, a page that trains mixtures of experts, and serves it on 127.0.0.1 until stopped.",
  options: {
    port: { about: "port to serve on, 0 for any that is free", value: "N", default: "8787" },
    build: { about: "only build: dist/ holds plain files for any web server" },
    "single-file": { about: "only build one file, dist/playground.html, which runs from a disk" },
  },
};

if (import.meta.main) {
  await runTask(line, async (words) => {
    const port = wholeNumberOf(words, "port", 0, 65535) ?? 8787;
    const dist = new URL("../dist/", import.meta.url);
    if (words.flags["single-file"]) {
      await buildSingleFile(new URL("playground.html", dist));
      return console.log("Built the playground as one file: dist/playground.html");
    }
    await buildPage(dist);
    if (words.flags.build) return console.log("Built the playground: dist/index.html and what it loads.");
    const server = servePage(dist, port);
    console.log(`The playground is at http://127.0.0.1:${server.addr.port}/ (Ctrl-C ends it)`);
    await server.finished;
  });
}
