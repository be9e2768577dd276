// The command that a reader of a report must not be misled by, as it is typed: a short run on the Brown corpus ranks nothing.
import { assert, assertStringIncludes } from "@std/assert";
import { inFolder, succeed } from "../experiments_command.ts";

Deno.test("--task language --size tiny --steps 60 says that nothing can be told", () =>
  inFolder(async (folder) => {
    const out = await succeed(
      "--task",
      "language",
      "--size",
      "tiny",
      "--steps",
      "60",
      "--out",
      `${folder}/out`,
    );
    assertStringIncludes(out, "On language, this setting cannot tell routers apart: experts are worth ");
    assertStringIncludes(out, "So nothing about routers is ranked.");
    assert(!/ is (better|worse) than /.test(out), "a router is ranked");
  }));
