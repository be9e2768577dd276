// Stopped many times by kill -9 and by SIGTERM, at random moments, runs of routers that carry state end in the bytes of runs
// that were never stopped. `STOPS=100` in the environment stops them a hundred times each, which takes ten minutes.
import { assert, assertEquals } from "@std/assert";
import { random } from "../../tensor/random.ts";
import { filesIn } from "../experiments_command.ts";

const STOPS = Number(Deno.env.get("STOPS") ?? 20);
const program = new URL("../stopped_runs.ts", import.meta.url).pathname;

function start(folder: string): Deno.ChildProcess {
  const args = ["run", "--allow-read", "--allow-write", "--allow-env", program, folder];
  return new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
}

/** Stops a program, unless it has just ended by itself. */
function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

/** Everything that must not hang on when a run was stopped. */
function records(folder: string): Map<string, string> {
  return new Map([...filesIn(folder)].filter(([path]) => path.endsWith(".jsonl")));
}

const wholeFolder = await Deno.makeTempDir();
const begun = performance.now();
const whole = await start(wholeFolder).output();
const milliseconds = performance.now() - begun;
assertEquals([whole.code, new TextDecoder().decode(whole.stderr)], [0, ""]);

for (const [signal, statuses] of [["SIGKILL", [137]], ["SIGTERM", [143]]] as const) {
  Deno.test(`${STOPS} times ${signal} at random moments: the records of runs never stopped, byte for byte`, async () => {
    const wanted = records(wholeFolder);
    assertEquals(wanted.size, 5);
    const moments = random(signal.length + 7).uniform(4000);
    let stopped = 0;
    let rounds = 0;
    for (let at = 0; stopped < STOPS; rounds++) {
      assert(rounds < 60, "most starts ended before they were stopped");
      const folder = await Deno.makeTempDir();
      for (let ended = false; !ended; at++) {
        const child = start(folder);
        const timer = setTimeout(() => kill(child, signal), 100 + 0.8 * milliseconds * moments[at]);
        const { code, stderr } = await child.output();
        clearTimeout(timer);
        ended = code === 0;
        if (!ended) {
          stopped++;
          assert(
            statuses.some((status) => status === code),
            `status ${code}: ${new TextDecoder().decode(stderr)}`,
          );
        }
      }
      assertEquals(records(folder), wanted);
      // What a kill leaves half-written bears no final name; the command clears it away when it resumes.
      const left = [...filesIn(folder).keys()].filter((path) =>
        /safetensors|unfinished/.test(path) && !path.endsWith(".partial")
      );
      assertEquals(left, [], "a finished run left parts of an unfinished one");
      await Deno.remove(folder, { recursive: true });
    }
  });
}
