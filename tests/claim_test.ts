// One command at a time works in a folder; a claim ends with its process, however that ends; plugins are known by content.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { claimFor } from "../cli/claim.ts";
import { pluginDigests } from "../cli/plugin_digest.ts";
import { settleFacts } from "../cli/out_folder.ts";
import { inFolder } from "./experiments_command.ts";

const module = new URL("../cli/claim.ts", import.meta.url);

/** Another process that claims a folder, says so or why not, and waits to be told to end. */
function claimant(folder: string) {
  const code = `import { claimFor } from "${module}";
    const claim = await claimFor(${JSON.stringify(folder)}, "test").catch(({ message }) => message);
    console.log(typeof claim === "string" ? claim : "claimed");
    for await (const _ of Deno.stdin.readable) break;`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    pid: child.pid,
    said: async () => (await reader.read()).value?.trim(),
    async end(signal?: Deno.Signal) {
      if (signal) child.kill(signal);
      await child.stdin.close().catch(() => {});
      await reader.cancel();
      await child.stderr.cancel();
      await child.status;
    },
  };
}

Deno.test("a second command is refused and told who works there; after its end the folder is free", () =>
  inFolder(async (place) => {
    const folder = `${place}/out`;
    const other = claimant(folder);
    assertEquals(await other.said(), "claimed");
    const { message } = await assertRejects(() => claimFor(folder, "mine"), Error);
    assertMatch(
      message,
      new RegExp(`^Cannot write results to .*/out: process ${other.pid} has worked there since`),
    );
    assertMatch(message, /\(test\); wait for it, or choose another --out$/);
    await other.end();
    using claim = await claimFor(folder, "mine");
    assertEquals(claim.folder, folder);
  }));

Deno.test("of two programs that claim a folder at the same moment one gets it, a hundred times", () =>
  inFolder(async (place) => {
    const code = `import { claimFor } from "${module}";
      const told = () => Deno.stdin.read(new Uint8Array(1));
      for (let round = 0; round < 100; round++) {
        await told();
        const claim = await claimFor(Deno.args[0] + "/" + round, "test").catch(() => null);
        console.log(claim ? "claimed" : "refused");
        await told();
        claim?.[Symbol.dispose]();
      }`;
    const programs = [0, 1].map(() => {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["eval", code, place],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      return { child, reader, writer: child.stdin.getWriter() };
    });
    const tell = () =>
      Promise.all(programs.map(({ writer }) => writer.write(new TextEncoder().encode("\n"))));
    for (let round = 0; round < 100; round++) {
      await tell();
      const said = await Promise.all(programs.map(async ({ reader }) => (await reader.read()).value?.trim()));
      assertEquals(said.sort(), ["claimed", "refused"], `round ${round}`);
      await tell();
    }
    for (const { child, reader, writer } of programs) {
      await writer.close();
      await reader.cancel();
      assertEquals((await child.status).code, 0);
    }
  }));

Deno.test("a killed process leaves no claim, and one that ends leaves no trace of it", () =>
  inFolder(async (place) => {
    const folder = `${place}/a/out`;
    const killed = claimant(folder);
    assertEquals(await killed.said(), "claimed");
    await killed.end("SIGKILL");
    assert(Array.from(Deno.readDirSync(folder)).some(({ name }) => name === ".claim"));
    (await claimFor(folder, "mine"))[Symbol.dispose]();
    assertEquals(Array.from(Deno.readDirSync(folder)), []);
    // Folders that were made for a claim alone go with it; what holds results stays.
    (await claimFor(`${place}/b/out`, "mine"))[Symbol.dispose]();
    assertEquals(Array.from(Deno.readDirSync(place), ({ name }) => name).sort(), ["a", "text.txt"]);
    {
      using _claim = await claimFor(`${place}/b/out`, "mine");
      await Deno.writeTextFile(`${place}/b/out/kept`, "");
    }
    assertEquals(Array.from(Deno.readDirSync(`${place}/b/out`), ({ name }) => name), ["kept"]);
  }));

Deno.test("of many that begin at once one gets the folder, every time", () =>
  inFolder(async (place) => {
    for (let round = 0; round < 5; round++) {
      const all = Array.from({ length: 4 }, () => claimant(`${place}/out`));
      const said = await Promise.all(all.map((one) => one.said()));
      assertEquals(said.filter((text) => text === "claimed").length, 1, said.join("\n"));
      await Promise.all(all.map((one) => one.end(round % 2 === 0 ? undefined : "SIGKILL")));
    }
  }));

Deno.test("a plugin is its text and that of what it imports, wherever they lie", () =>
  inFolder(async (place) => {
    await Deno.mkdir(`${place}/elsewhere`);
    const write = async (folder: string, part: string) => {
      await Deno.writeTextFile(`${folder}/mine.ts`, 'import { x } from "./part.ts";\nexport default x;\n');
      await Deno.writeTextFile(`${folder}/part.ts`, part);
      return await pluginDigests([`${folder}/mine.ts`]);
    };
    const first = await write(place, "export const x = 1;\n");
    assertEquals(await write(`${place}/elsewhere`, "export const x = 1;\n"), first);
    const second = await write(place, "export const x = 2;\n");
    assert(first !== second, "an import was edited");
    const facts = { experiment: "compare", tasks: "recall", size: "", data: "d" };
    await settleFacts(place, { ...facts, plugins: first });
    await settleFacts(place, { ...facts, plugins: first });
    await assertRejects(
      () => settleFacts(place, { ...facts, plugins: second }),
      RangeError,
      `Cannot resume ${place}: the digest of its plugins' code was ${first} and is now ${second}`,
    );
    assertEquals(await pluginDigests([]), "");
  }));
