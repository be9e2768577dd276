// `deno task bench:against CHECKOUT`: training steps of small models in another checkout of this repository and here, in
// alternation, as ratios. Both start from the same weights, so equal losses say that both do the same work. What the main
// thread computes, which Linux tells, stays meaningful where other programs share the machine.
import { fileURLToPath, pathToFileURL } from "node:url";
import { type CommandLine, runTask, valueOf, wholeNumberOf, wholeNumbersOf } from "../cli/options.ts";
import { machineText } from "./machine.ts";
import { spread } from "./rounds.ts";

/** What a window of steps took, in milliseconds a step. */
interface Window {
  readonly computed: number;
  readonly least: number;
  readonly loss: number;
}

/** A process that trains with a checkout's modules. */
interface Side {
  ask(steps: number): Promise<Window>;
  end(): Promise<void>;
}

const SUBJECTS = "recall:small,regimes:small,language:tiny,language:small";
const WARM_UP = 60;

function open(root: URL, subject: string, threads: number): Side {
  const [task, size] = subject.split(":");
  const program = fileURLToPath(new URL("against_side.ts", import.meta.url));
  // Deno reads /proc, where Linux keeps a thread's time, with all permissions alone.
  const permissions = ["--allow-all"];
  const config = ["--config", fileURLToPath(new URL("deno.json", root)), "--no-lock", "--no-check"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, ...config, program, root.href, task, size, String(threads)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    async ask(steps) {
      await input.write(new TextEncoder().encode(`${steps}\n`));
      let text = "";
      while (!text.includes("\n")) {
        const { value, done } = await output.read();
        if (done) throw new Error(`Cannot train ${subject} in ${root.pathname}: the process ended`);
        text += value;
      }
      return JSON.parse(text);
    },
    async end() {
      await input.close();
      await child.status;
    },
  };
}

/** A line of the table: how many times less a step takes here, by medians and by the least. */
async function compare(other: URL, subject: string, threads: number, rounds: number): Promise<string> {
  const here = new URL("../", import.meta.url);
  const sides = [open(other, subject, threads), open(here, subject, threads)];
  const steps = subject.endsWith(":small") && subject.startsWith("language") ? 3 : 40;
  const found: Window[][] = [[], []];
  for (const side of sides) await side.ask(Math.max(10, Math.min(WARM_UP, 20 * steps)));
  for (let round = 0; round < rounds; round++) {
    for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) found[at].push(await sides[at].ask(steps));
  }
  for (const side of sides) await side.end();
  const of = (figure: keyof Window) =>
    found.map((windows) => spread(windows.map((window) => window[figure])));
  const [before, now] = of("computed"), [leastBefore, leastNow] = of("least");
  const same = found[0].at(-1)!.loss === found[1].at(-1)!.loss;
  return `| ${subject} | ${threads} | ${(before.median / now.median).toFixed(2)} | ${
    (leastBefore.least / leastNow.least).toFixed(2)
  } | ${same ? "same" : "other"} |`;
}

/** What `deno task bench:against` takes. */
export const line: CommandLine = {
  task: "bench:against",
  about: "Steps of small models here against another checkout, in alternation, as ratios (Linux).",
  operands: "CHECKOUT",
  options: {
    rounds: { about: "windows of steps of each side", value: "N", default: "12" },
    threads: { about: "numbers of CPU threads, with commas between", value: "LIST", default: "1,2" },
    tasks: { about: "tasks and their sizes, with commas between", value: "LIST", default: SUBJECTS },
  },
};

if (import.meta.main) {
  await runTask(line, async (words) => {
    const [checkout] = words.names;
    if (words.names.length !== 1) {
      throw new RangeError(`Cannot compare with ${words.names.length} checkouts: name the folder of one`);
    }
    const other = new URL(`${pathToFileURL(checkout).href.replace(/\/$/, "")}/`);
    const rounds = wholeNumberOf(words, "rounds", 1) ?? 12;
    const threads = wholeNumbersOf(words, "threads", 1, 64) ?? [1, 2];
    console.log(`${machineText()}, ${new Date().toISOString().slice(0, 10)}`);
    console.log("| step | threads | less computing on the main thread | least step | losses |");
    console.log("| --- | --- | --- | --- | --- |");
    for (const subject of (valueOf(words, "tasks") ?? SUBJECTS).split(",")) {
      for (const count of threads) console.log(await compare(other, subject, count, rounds));
    }
  });
}
