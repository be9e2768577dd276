// docs/where.md sends to the right doors: what each of its ten questions asks about is in the files it names, and nowhere
// else, so that a change there is the whole change.
import { assert, assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/where.md", root));

const { stdout } = await new Deno.Command("git", {
  args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
  cwd: root,
}).output();
/** Sources of the package, of its command and of its reports, without comments. */
const sources = new Map(
  new TextDecoder().decode(stdout).split("\0")
    .filter((path) => /\.(ts|wgsl)$/.test(path) && !/^(tests|bench|tools|examples|playground)\//.test(path))
    .flatMap((path) => {
      try {
        const text = Deno.readTextFileSync(new URL(path, root));
        return [[path, text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(?<!:)\/\/.*$/gm, "")] as const];
      } catch {
        return [];
      }
    }),
);

interface Question {
  readonly about: string;
  /** How the answer's row begins. */
  readonly row: string;
  /** What the question is about, as it is written where it is made. */
  readonly made: RegExp;
  /** Files where that may be: all that the row names, or begin with these. */
  readonly files: readonly string[];
}

const questions: readonly Question[] = [
  {
    about: "the schedule of the learning rate",
    row: "How does the learning rate change",
    made: /Math\.cos\(Math\.PI/,
    files: ["training/schedule.ts"],
  },
  {
    about: "a corpus",
    row: "How do I add a corpus?",
    made: /readonly CorpusSource\[\] =/,
    files: ["data/corpora.ts"],
  },
  {
    about: "drop orders",
    row: "Who is dropped",
    made: /const dropOrders\b/,
    files: ["routers/parts/capacity.ts"],
  },
  {
    about: "colours of series",
    row: "Which colour",
    made: /\bhues\b.*=|light: "#[0-9a-f]{6}", dark/,
    files: ["report/palette.ts"],
  },
  {
    about: "forms of a kernel on the GPU",
    row: "How do I change a kernel on the GPU",
    made: /\bgpu\(inputs/,
    files: ["kernels/"],
  },
  {
    about: "options of the command",
    row: "How do I add a setting",
    made: /"no-controls": \{/,
    files: ["cli/experiment_options.ts"],
  },
  {
    about: "how experts store numbers",
    row: "Can experts compute in bf16?",
    made: /\["full", "half"\]/,
    files: ["experts/parts/precision.ts"],
  },
  {
    about: "scalars that routers log",
    row: "How do I log a scalar?",
    made: /readonly scalars\?: Readonly<Record<string, Tensor>>/,
    files: ["routers/router.ts"],
  },
  {
    about: "FLOPs of a model",
    row: "How are FLOPs counted?",
    made: /function (flopOf|activeFlop|expertFlop)\b/,
    files: ["models/cost.ts"],
  },
  {
    about: "words of a text",
    row: "What is a token?",
    made: /function (wordsOfTexts|buildVocabulary|byteNames|parsePlainText)\b/,
    files: ["data/plain_text.ts", "data/vocabulary.ts", "data/bytes.ts"],
  },
];

for (const { about, row, made, files } of questions) {
  Deno.test(`${about}: made where docs/where.md says, and nowhere else`, () => {
    const line = page.split("\n").find((each) => each.startsWith(`| ${row}`));
    assert(line, `no row begins with "${row}"`);
    for (const file of files) {
      const named = file.endsWith("/") ? /`gpu\.wgsl`/ : new RegExp(file.replaceAll(".", "\\."));
      assert(named.test(line), `${row} does not name ${file}`);
    }
    const found = [...sources].filter(([, text]) => made.test(text)).map(([path]) => path);
    assert(found.length > 0, `${made} is nowhere`);
    assertEquals(found.filter((path) => !files.some((file) => path.startsWith(file))), []);
  });
}

Deno.test("every file that docs/where.md names is there", async () => {
  const links = [...page.matchAll(/\]\((\.\.\/[^)#]+|[a-z_]+(?:\.md)?)\)/g)].map(([, path]) => path);
  assert(links.length > 25);
  for (const path of links) await Deno.stat(new URL(`docs/${path}`, root));
});
