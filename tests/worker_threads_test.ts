// Runs side by side: each worker opens a backend of its own, and its timings name the threads and the BLAS that came up there.
import { assert, assertEquals } from "@std/assert";
import { blas } from "./blas.ts";
import { filesIn, inFolder, succeed } from "./experiments_command.ts";

/** A router that comes with a worker which shares no memory, as a page without its headers does. */
const plugin = `import { switchRouter } from "${new URL("../mod.ts", import.meta.url)}";
if ("postMessage" in globalThis) globalThis.crossOriginIsolated = false;
export const alone = { ...switchRouter, name: "alone" };
`;

/** Timings of two runs in workers, each of which may have two threads. */
async function timings(folder: string, out: string, ...words: string[]) {
  await succeed(
    ...["--no-controls", "--task", "recall", "--size", "tiny", "--seeds", "1", "--steps", "2"],
    ...["--out", `${folder}/${out}`, "--jobs", "2", "--threads", "2", ...words],
  );
  const files = [...filesIn(`${folder}/${out}/runs`)].filter(([path]) => path.endsWith(".timing.json"));
  return files.map(([, text]) => JSON.parse(text));
}

Deno.test("timings of a run in a worker name the threads and the BLAS that came up there, not those planned", () =>
  inFolder(async (folder) => {
    const path = `${folder}/alone.ts`;
    await Deno.writeTextFile(path, plugin);
    const library = blas === null ? [] : ["--blas", blas.library];
    const alone = await timings(folder, "alone", "--plugin", path, "--routers", "alone,switch", ...library);
    assertEquals(alone.map(({ threads, blas }) => [threads, blas]), [[1, undefined], [1, undefined]]);
    if (blas === null) return;
    const shared = await timings(folder, "shared", "--routers", "switch,hash", ...library);
    assertEquals(shared.map(({ threads }) => threads), [2, 2]);
    for (const timing of shared) assert(timing.blas.startsWith(`${blas.name}, `), timing.blas);
  }));
