// The driver's side: each contender is a process of its own, since some crash, hang or fight over threads. A request that
// takes too long ends the process; whatever happens to it becomes one sentence.
import { lines } from "./contender.ts";

/** How to start a contender. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Why a contender does not take part. */
export class Refused extends Error {}

/** A contender's answer to a request, whatever it holds. */
export type Answer = Readonly<Record<string, unknown>>;

/** A running contender. */
export interface Running {
  readonly about: string;
  /** False once it has ended, by itself or because it took too long. */
  alive(): boolean;
  /** @throws {Refused} with its reason, or when it crashes or takes longer than `seconds`. */
  ask(request: Readonly<Record<string, unknown>>, seconds: number): Promise<Answer>;
  /** Ends it and waits until it is gone. */
  end(): Promise<void>;
}

/**
 * Starts a contender and waits until it says what it is.
 * @throws {Refused} when it does not start.
 */
export async function start({ program, args, env }: Command, seconds: number): Promise<Running> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new Refused(`${program} cannot be started: ${(error as Error).message}`);
  }
  let alive = true;
  const complaints: string[] = [];
  const complained = (async () => {
    for await (const line of lines(child.stderr)) {
      if (complaints.push(line) > 50) complaints.shift();
    }
  })();
  const ended = (async () => {
    const { code, signal } = await child.status;
    alive = false;
    await complained;
    return new Refused(`it ended with ${signal ?? `code ${code}`}${lastWords(complaints)}`);
  })();
  const answers = (async function* () {
    for await (const line of lines(child.stdout)) {
      if (line.startsWith("@ ")) yield JSON.parse(line.slice(2)) as Answer;
    }
  })();
  const writer = child.stdin.getWriter();
  const end = async () => {
    if (alive) child.kill("SIGKILL");
    await ended;
  };
  const next = async (seconds: number): Promise<Answer> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), seconds * 1000));
    try {
      const found = await Promise.race([answers.next(), late]);
      if (found === "late") {
        await end();
        throw new Refused(`it took longer than ${seconds} s and was ended`);
      }
      if (found.done) throw await ended;
      if (typeof found.value.cannot === "string") {
        throw new Refused(found.value.cannot);
      }
      return found.value;
    } finally {
      clearTimeout(timer);
    }
  };
  let about: string;
  try {
    about = String((await next(seconds)).about);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    about,
    alive: () => alive,
    async ask(request, seconds) {
      try {
        await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
      } catch {
        throw await ended;
      }
      return await next(seconds);
    },
    end,
  };
}

/** The line of standard error that says most: the last that names an error, else the last. */
function lastWords(complaints: readonly string[]): string {
  // deno-lint-ignore no-control-regex
  const plain = complaints.map((line) => line.replace(/\x1b\[\d+m/g, "").trim()).filter((line) =>
    line !== ""
  );
  const line = plain.findLast((line) => /error|exception|panicked/i.test(line)) ?? plain.at(-1);
  return line ? `: ${line}` : "";
}
