// The reader of command lines: what a declaration accepts, refuses and prints, and that every task has one.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { experimentsLine } from "../cli/experiment_options.ts";
import { type CommandLine, helpText, splitWords, valueOf, wholeNumberOf } from "../cli/options.ts";
import { nearest } from "../tensor/nearest.ts";

const line: CommandLine = {
  task: "try",
  about: "Tries things.",
  options: {
    rounds: { about: "rounds", value: "N", default: "3" },
    set: { about: "settings", value: "PATH=VALUE", repeatable: true },
    json: { about: "one object" },
  },
};

const refused = (words: readonly string[], message: string, on = line) =>
  assertThrows(() => splitWords(words, on), RangeError, message);

Deno.test("values, flags and repeated options are split", () => {
  const { names, values, flags } = splitWords(["--rounds", "4", "--set", "a=1", "--set=b=2", "--json"], line);
  assertEquals([names, values], [[], { rounds: ["4"], set: ["a=1", "b=2"] }]);
  assertEquals([flags.json, flags.help, flags.version], [true, false, false]);
  assertEquals(valueOf(splitWords([], line), "rounds"), null);
});

Deno.test("whole numbers are read within their bounds; negative ones are values, not options", () => {
  const rounds = (...words: string[]) => wholeNumberOf(splitWords(words, line), "rounds", 1, 9);
  assertEquals([rounds(), rounds("--rounds", "4"), rounds("--rounds=9")], [null, 4, 9]);
  for (const wrong of ["0", "10", "1.5", "x", "-1"]) {
    const message = `Cannot use --rounds ${wrong}: choose a whole number from 1 to 9`;
    assertThrows(() => rounds("--rounds", wrong), RangeError, message);
  }
});

Deno.test("what is unknown, empty, repeated or too much is refused in one sentence", () => {
  refused(["--round", "2"], 'Cannot use "--round": did you mean --rounds? deno task try has --rounds, --set');
  refused(["--frobnicate"], 'Cannot use "--frobnicate": deno task try has --rounds, --set, --json, --help');
  refused(["--rounds", "2", "--rounds", "3"], "Cannot use --rounds 3: it was 2 before; give it once");
  refused(["--rounds="], "Cannot use --rounds: it needs a value");
  refused(["words"], 'Cannot use "words": deno task try has');
  assertEquals(splitWords(["one", "two"], { ...line, operands: "[NAMES]" }).names, ["one", "two"]);
});

Deno.test("-h, help and --help ask for help, which lists every option", () => {
  for (const word of ["-h", "help", "--help"]) assert(splitWords([word], line).flags.help, word);
  const help = helpText(experimentsLine);
  for (const name of Object.keys(experimentsLine.options)) assertStringIncludes(help, `--${name}`);
  assert(help.split("\n").every((text) => text.length <= 110));
  assertStringIncludes(helpText(line), "--rounds N");
  assertStringIncludes(helpText(line), "rounds (default 3)");
});

Deno.test("a mistyped word is told its neighbour, a strange one is not", () => {
  assertEquals(nearest("--rutors", ["--routers", "--rounds"]), "--routers");
  assertEquals(nearest("--x", ["--routers", "--rounds", "--y"]), null);
});

/** Tasks that hand their words on to `deno test` or `deno install`. */
const passOn = ["packages", "test", "test:browser", "test:long", "test:slowest"];

for (const task of Object.keys(config.tasks).filter((task) => !passOn.includes(task))) {
  Deno.test(`deno task ${task} answers --help, prints its version, and refuses what it does not know`, async () => {
    const run = async (word: string) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", task, word],
        env: { NO_COLOR: "1" },
        cwd: new URL("../", import.meta.url),
      }).output();
      const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, out, error: error.split("\n").filter((text) => text.startsWith("Cannot ")).join("\n") };
    };
    const help = await run("--help");
    assertEquals(help.code, 0);
    assertStringIncludes(help.out, `deno task ${task}`);
    const version = await run("--version");
    assertEquals([version.code, version.out.trim()], [0, `${config.name} ${config.version}`]);
    const unknown = await run("--no-such-thing");
    assertEquals(unknown.code, 1);
    assertStringIncludes(unknown.error, `Cannot use "--no-such-thing": deno task ${task}`);
  });
}
