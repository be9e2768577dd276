// Folders for results: numbered when taken, one for each of many commands started together, and the latest that holds
// results when a command resumes.
import { assertEquals } from "@std/assert";
import { inFolder } from "./experiments_command.ts";

const root = new URL("../", import.meta.url);

/** What lines against cli/out_folder.ts print, run in a folder. */
async function printed(folder: string, source: string): Promise<string> {
  const module = new URL("cli/out_folder.ts", root);
  const code = `import { askedFolder, nextFolder, settleFacts } from "${module}"; ` +
    `const facts = { experiment: "compare", size: "tiny", steps: 1, vocabulary: 9, corpus: "none" }; ` +
    `const asked = { out: null, resume: true, experiment: "compare" }; ${source}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return (text(stdout) + text(stderr)).trimEnd();
}

Deno.test("commands that start together get a folder each", () =>
  inFolder(async (folder) => {
    const three = 'console.log((await Promise.all([1, 2, 3].map(() => nextFolder("compare")))).join("\\n"));';
    const found = (await Promise.all([printed(folder, three), printed(folder, three)])).flatMap((text) =>
      text.split("\n")
    );
    const numbers = ["", "-2", "-3", "-4", "-5", "-6"];
    assertEquals(found.sort(), numbers.map((number) => `results/compare${number}`));
  }));

Deno.test("a command resumes the latest folder that holds results, and names what it lacks", () =>
  inFolder(async (folder) => {
    const resume = "console.log(await askedFolder(asked).catch(({ message }) => message));";
    const none = 'Cannot resume: there are no results of "compare" in results/';
    assertEquals(await printed(folder, resume), none);
    const take = 'await nextFolder("compare");';
    // The second began and wrote nothing: a disk may have been full.
    const source = `${take} await settleFacts("results/compare", facts); ${take} ${resume}`;
    assertEquals(await printed(folder, source), "results/compare");
    const third = `await settleFacts(await nextFolder("compare"), facts); ${resume}`;
    assertEquals(await printed(folder, third), "results/compare-3");
    await Deno.remove(`${folder}/results`, { recursive: true });
    await Deno.writeTextFile(`${folder}/results`, "in the way");
    assertEquals(
      await printed(folder, `${take.slice(0, -1)}.catch(({ message }) => console.log(message));`),
      "Cannot write results to results/compare: a file of that name is in the way",
    );
  }));
