// Runs side by side: each worker opens a backend of its own, and its timings name the threads that came up there.
import { assertEquals } from "@std/assert";
import { filesIn, inFolder, succeed } from "./experiments_command.ts";

/** A router that comes with a worker which shares no memory, as a page without its headers does. */
const plugin = `import { switchRouter } from "${new URL("../mod.ts", import.meta.url)}";
if ("postMessage" in globalThis) globalThis.crossOriginIsolated = false;
export const alone = { ...switchRouter, name: "alone" };
`;

Deno.test("timings of a run in a worker name the threads that came up there, not those planned", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/alone.ts`, plugin);
    await succeed(
      ...["--plugin", `${folder}/alone.ts`, "--routers", "alone,switch", "--no-controls", "--task", "recall"],
      ...["--size", "tiny", "--seeds", "1", "--steps", "2", "--out", `${folder}/out`],
      ...["--jobs", "2", "--threads", "2"],
    );
    const timings = [...filesIn(`${folder}/out/runs`)].filter(([path]) => path.endsWith(".timing.json"));
    assertEquals(timings.map(([, text]) => JSON.parse(text).threads), [1, 1]);
  }));
