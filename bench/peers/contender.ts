// The contender's side of the protocol: requests come as JSON, one a line; answers go out the same way behind "@ ", so that
// what a library prints disturbs nothing. It imports nothing of this repository: peers run under a configuration of
// their own (packages.json beside this file).
import process from "node:process";

/** A workload as the driver left it in a folder. */
export interface Task {
  readonly name: string;
  readonly sizes: Readonly<Record<string, number>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Values of an input, row-major. */
  floats(input: string): Float32Array<ArrayBuffer>;
  /** A word among the sizes. */
  word(name: string): string;
}

/** A workload that is ready to run. */
export interface Prepared {
  /** How it is done, where there is something to say. */
  readonly note?: string;
  /** One call on the inputs as they are, with every output on the host. It is called once, first of all. */
  outputs(): Promise<Record<string, ArrayLike<number>>>;
  /** Calls on the same inputs, one after the other, and waits until the last is computed. */
  run(count: number): Promise<void>;
  free?(): void | Promise<void>;
}

/** Makes workloads ready, by name of workload; what is missing is refused with the reason. */
export interface Peer {
  /** What is running, with its version. */
  readonly about: string;
  prepare(task: Task): Promise<Prepared>;
}

/** Thrown by a contender that has no way to do a workload, with the reason as its message. */
export class Missing extends Error {}

interface Request {
  readonly ask: "prepare" | "check" | "time" | "usage" | "free";
  readonly folder: string;
  readonly outputs: string;
  readonly seconds: number;
}

/** Opens a contender and answers requests until there are none. */
export async function serve(open: () => Promise<Peer>): Promise<void> {
  const say = (answer: unknown) => {
    const bytes = new TextEncoder().encode(`@ ${JSON.stringify(answer)}\n`);
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  };
  console.log = console.info = console.debug = console.error;
  let prepared: Prepared | undefined;
  let secondsOfCall = 0;
  const timed = async (count: number): Promise<number> => {
    const start = performance.now();
    await prepared!.run(count);
    return secondsOfCall = (performance.now() - start) / 1000 / count;
  };
  const answer = async (peer: Peer, { ask, folder, outputs, seconds }: Request): Promise<unknown> => {
    switch (ask) {
      case "prepare":
        prepared = await peer.prepare(readTask(folder));
        return { note: prepared.note };
      case "usage": {
        const { user, system } = process.cpuUsage();
        return { cpuSeconds: (user + system) / 1e6 };
      }
      case "check":
        for (const [name, values] of Object.entries(await prepared!.outputs())) {
          const bytes = new Uint8Array(Float64Array.from(values).buffer);
          Deno.writeFileSync(`${outputs}${name}.f64`, bytes);
        }
        return { secondsOfCall: await timed(1) };
      case "time": {
        // The first estimate is of a call that may have compiled or filled caches: go on until time is nearly up.
        let [count, spent] = [0, 0];
        while (spent < 0.8 * seconds) {
          const more = Math.max(1, Math.round((seconds - spent) / secondsOfCall));
          spent += more * await timed(more);
          count += more;
        }
        return { secondsOfCall: spent / count, count };
      }
      case "free":
        await prepared?.free?.();
        prepared = undefined;
        return {};
      default:
        return ask satisfies never;
    }
  };
  const fail = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    const sentence = message.split("\n").map((line) => line.trim()).find((line) => line !== "") ??
      "no reason given";
    if (!(error instanceof Missing)) console.error(error);
    say({ cannot: sentence });
  };
  let peer: Peer;
  try {
    peer = await open();
  } catch (error) {
    return fail(error);
  }
  say({ about: peer.about });
  for await (const line of lines(Deno.stdin.readable)) {
    try {
      say(await answer(peer, JSON.parse(line)));
    } catch (error) {
      fail(error);
    }
  }
  // Worker threads of some libraries would keep the process alive.
  Deno.exit(0);
}

function readTask(folder: string): Task {
  const { name, sizes, shapes } = JSON.parse(Deno.readTextFileSync(`${folder}/workload.json`));
  return {
    name,
    sizes,
    shapes,
    floats: (input) => new Float32Array(Deno.readFileSync(`${folder}/${input}.f32`).buffer),
    word: (input) => String(sizes[input]),
  };
}

/** Text in lines. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const found = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = found.pop()!;
    yield* found;
  }
  if (rest !== "") yield rest;
}
