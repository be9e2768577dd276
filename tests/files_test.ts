// Files written whole or not at all, on disks that refuse: a path below a file, a full disk, a size limit.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { prepareFolder, readBytes, readText, writeAtomic } from "../formats/files.ts";
import { inOwnFolder } from "./own_folder.ts";

function names(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), (entry) => entry.name).sort();
}

/** Runs a few lines against formats/files.ts under `sh`, and returns what they printed. */
async function shell(before: string, source: string, command = ["sh", "-c"]): Promise<string> {
  const module = new URL("../formats/files.ts", import.meta.url);
  const code =
    `import { prepareFolder, writeAtomic } from "${module}"; const say = (e) => console.log(e.message); ${source}`;
  const { stdout, stderr } = await new Deno.Command(command[0], {
    args: [...command.slice(1), `${before}; exec "$DENO" eval "$CODE"`],
    env: { DENO: Deno.execPath(), CODE: code, NO_COLOR: "1" },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("a file is written, replaced and read back, and nothing else is left", () =>
  inOwnFolder(async (folder) => {
    await writeAtomic(`${folder}/a.txt`, "old ä");
    await writeAtomic(`${folder}/a.txt`, "new ä");
    assertEquals(await readText(`${folder}/a.txt`), "new ä");
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, at) => at);
    await writeAtomic(new URL(`file://${folder}/b%20c.bin`), bytes);
    assertEquals(await readBytes(`${folder}/b c.bin`), bytes);
    assertEquals(names(folder), ["a.txt", "b c.bin"]);
  }));

Deno.test("what cannot be written says why in one sentence and leaves nothing behind", () =>
  inOwnFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "kept");
    const below = `${folder}/file/x.txt`;
    await assertRejects(
      () => writeAtomic(below, "x"),
      Error,
      `Cannot write ${below}: part of the path is a file`,
    );
    await assertRejects(() => writeAtomic(`${folder}/no/x.txt`, "x"), Error, "x.txt: no such file or folder");
    await Deno.mkdir(`${folder}/taken`);
    await assertRejects(
      () => writeAtomic(`${folder}/taken`, "x"),
      Error,
      `Cannot write ${folder}/taken: it is a folder`,
    );
    assertEquals(names(folder), ["file", "taken"]);
    assertEquals(await readText(`${folder}/file`), "kept");
  }));

Deno.test("a results folder is made and proved, or refused before any work", () =>
  inOwnFolder(async (folder) => {
    await prepareFolder(`${folder}/deep/results/`, 5_000_000);
    assertEquals(names(`${folder}/deep/results`), []);
    await prepareFolder(`${folder}/deep/results`, 0);
    await Deno.writeTextFile(`${folder}/file`, "");
    const below = `${folder}/file/results`;
    await assertRejects(
      () => prepareFolder(below, 2 ** 21),
      Error,
      `Cannot write results to ${below}: part of the path is a file, not a folder (needs 2.0 MiB)`,
    );
    await assertRejects(() => prepareFolder(`${folder}/file`, 1), Error, "a file of that name is in the way");
  }));

Deno.test("reading says what is wrong", () =>
  inOwnFolder(async (folder) => {
    await assertRejects(
      () => readText(`${folder}/none`),
      Error,
      `Cannot read ${folder}/none: no such file or folder`,
    );
    await assertRejects(() => readText(folder), Error, `Cannot read ${folder}: it is a folder`);
    await Deno.writeFile(`${folder}/bytes`, Uint8Array.of(0xFF, 0xFE, 0));
    await assertRejects(() => readText(`${folder}/bytes`), Error, "it is not UTF-8 text");
  }));

Deno.test("a size limit met halfway leaves the old file and no part of the new one", () =>
  inOwnFolder(async (folder) => {
    const output = await shell(
      "trap '' XFSZ; ulimit -f 1000",
      `await writeAtomic("${folder}/a", "old");
       await writeAtomic("${folder}/a", new Uint8Array(2 ** 20)).catch(say);
       const pieces = async function* () {
         for (const size of [9, 20]) yield new Uint8Array(2 ** size);
       };
       await writeAtomic("${folder}/b", pieces()).catch(say);
       await prepareFolder("${folder}", 2 ** 20).catch(say);`,
    );
    assertStringIncludes(output, `Cannot write ${folder}/a: File too large`);
    assertStringIncludes(output, `Cannot write ${folder}/b: File too large`);
    assertStringIncludes(
      output,
      `Cannot write results to ${folder}: File too large`,
    );
    assertEquals(names(folder), ["a"]);
    assertEquals(await readText(`${folder}/a`), "old");
  }));

const mounts = new Deno.Command("unshare", { args: ["-m", "mount", "-t", "tmpfs", "none", "/tmp"] });
const canMount = await mounts.output().then(({ success }) => success, () => false);

Deno.test({
  name: "a full disk is named as such, before and while writing (needs the right to mount)",
  ignore: !canMount,
  fn: () =>
    inOwnFolder(async (folder) => {
      const output = await shell(
        `mount -t tmpfs -o size=1m none ${folder}`,
        `await prepareFolder("${folder}/r", 2 ** 24).catch(say);
         await prepareFolder("${folder}/r", 2 ** 19);
         await writeAtomic("${folder}/r/a", new Uint8Array(2 ** 21)).catch(say);
         console.log([...Deno.readDirSync("${folder}/r")].length, "files");`,
        ["unshare", "-m", "sh", "-c"],
      );
      const full = "no space left on the disk";
      assertStringIncludes(output, `Cannot write results to ${folder}/r: ${full} (needs 16.0 MiB)`);
      assertStringIncludes(output, `Cannot write ${folder}/r/a: ${full}`);
      assertStringIncludes(output, "0 files");
    }),
});

Deno.test("a missing Deno permission is named", () =>
  inOwnFolder(async (folder) => {
    const module = new URL("../formats/files.ts", import.meta.url);
    const code = `import { writeAtomic } from "${module}"; await writeAtomic("${folder}/a", "x");`;
    await Deno.writeTextFile(`${folder}/main.ts`, code);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-config", `${folder}/main.ts`],
      env: { NO_COLOR: "1" },
    }).output();
    assert(!success);
    assertStringIncludes(
      new TextDecoder().decode(stderr),
      `Cannot write ${folder}/a: Deno was not permitted to`,
    );
  }));
