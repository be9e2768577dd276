// The tutorial as a reader follows it: its router is written to a folder, its commands are run there one after another, and
// each prints the lines that the page shows, but for digits.
import { assert, assertEquals } from "@std/assert";
import { inOwnFolder } from "../own_folder.ts";
import { runTask, type Task } from "../task_command.ts";

const page = await Deno.readTextFile(new URL("../../docs/tutorial.md", import.meta.url));

/** A block of the page between fences. */
interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks = [...page.matchAll(/^```(\w+)\n([^]*?)^```/gm)].map(([, language, text]): Block => ({
  language,
  text,
}));

/** Words of a command as a shell splits them; the page quotes with single quotes alone. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/(?:[^\s']|'[^']*')+/g)].map(([word]) => word.replaceAll("'", ""));
}

/** A line without what differs from machine to machine. */
const plain = (line: string) => line.replaceAll(/[+−-]?\d+(\.\d+)?/g, "#").replaceAll(/\s+/g, " ").trim();

Deno.test("the tutorial's commands do what it says", async () => {
  await inOwnFolder(async (folder) => {
    let printed = "";
    let [commands, compared] = [0, 0];
    let fused = true;
    for (const { language, text } of blocks) {
      if (language === "ts") await Deno.writeTextFile(`${folder}/my_router.ts`, text);
      if (language === "sh") {
        printed = "";
        for (const line of text.trim().split("\n")) {
          const [deno, task, name, ...words] = wordsOf(line);
          assertEquals([deno, task], ["deno", "task"]);
          const { code, out, error } = await runTask(name as Task, words, { INIT_CWD: folder });
          assertEquals(code, 0, `${line}\n${out}${error}`);
          printed += out;
          if (name === "experiments") fused = out.includes("fused multiply-add");
          commands++;
        }
      }
      if (language === "text") {
        const lines = printed.split("\n").map(plain);
        for (const shown of text.split("\n")) {
          const start = plain(shown.replace(/\s*\.\.\.$/, ""));
          if (start === "") continue;
          // What a sampled text says and where tokens go differs from one arithmetic to another, and so may verdicts.
          const found = shown.endsWith("...")
            ? lines.some((line) => line.startsWith(start))
            : lines.includes(start);
          const varies = /^(All human|jalet|A.#|│)/.test(start) ||
            !fused && /^On recall, (# routers|no diff|my-router)/.test(start);
          assert(found || varies, `"${shown}" was not printed:\n${printed}`);
          compared++;
        }
      }
    }
    assertEquals(commands, 7);
    assert(compared > 12, `${compared} lines`);
    for (const path of ["first/report.html", "mine/report.html", "tuned/tuning.json", "routing.html"]) {
      await Deno.stat(`${folder}/results/${path}`);
    }
  });
});
