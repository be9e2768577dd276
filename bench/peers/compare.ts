// Who computes what, how right and how fast. Results are checked before anything is timed; then contenders take turns,
// round by round, each alone, so that ratios come from the same minutes.
import { cpuSeconds, settle } from "./idle.ts";
import { type Command, Refused, type Running, start } from "./process.ts";
import { norm, type Wanted, type Workload } from "./workloads.ts";

/** Somebody who may take part. */
export interface Contender {
  readonly name: string;
  readonly device: "cpu" | "webgpu";
  /** Our own: what the others are held against. */
  readonly ours: boolean;
  readonly command: Command;
  /** Names of workloads it is there for; all when left out. Elsewhere it is not even listed. */
  readonly only?: readonly string[];
}

/** What became of one contender on one workload. */
export interface Row {
  readonly contender: string;
  readonly ours: boolean;
  /** What is running, with its version. */
  readonly about: string | null;
  /** What it says of how it does this workload. */
  readonly note: string | null;
  /** Why there is no time. */
  readonly cannot: string | null;
  /** Largest |found - wanted| / |wanted| over outputs, as a share of what is allowed. */
  readonly errorShare: number | null;
  /** One for each round. */
  readonly secondsOfCall: readonly number[];
  /** Cores it kept busy while it was not its turn; null where the system does not say. */
  readonly idleCores: number | null;
}

/** One workload's table. */
export interface Comparison {
  readonly workload: string;
  readonly about: string;
  readonly flop: number | null;
  readonly rows: readonly Row[];
}

/** How to compare. */
export interface CompareOptions {
  readonly rounds: number;
  /** How long one contender computes in one round; at least one call. */
  readonly secondsOfRound: number;
  /** How long a contender may take for one request. */
  readonly patienceSeconds: number;
  say(text: string): void;
}

const SETTLE_SECONDS = 2;

/** Runs workloads one after the other; a contender that fails is listed with its reason and tried again on the next. */
export async function compare(
  workloads: readonly Workload[],
  contenders: readonly Contender[],
  options: CompareOptions,
): Promise<Comparison[]> {
  const running = new Map<string, Running>();
  const neverStarted = new Map<string, string>();
  const folder = await Deno.makeTempDir({ prefix: "peers-" });

  async function runningOne({ name, command }: Contender): Promise<Running> {
    const found = running.get(name);
    if (found?.alive()) return found;
    if (neverStarted.has(name)) throw new Refused(neverStarted.get(name)!);
    try {
      const started = await start(command, options.patienceSeconds);
      running.set(name, started);
      return started;
    } catch (error) {
      if (error instanceof Refused) neverStarted.set(name, error.message);
      throw error;
    }
  }

  try {
    const comparisons: Comparison[] = [];
    for (const workload of workloads) {
      const present = contenders.filter(({ only }) => !only || only.includes(workload.name));
      if (present.length === 0) continue;
      options.say(`${workload.name}: inputs and what should come out ...`);
      const at = `${folder}/${workload.name}`;
      const wanted = await writeWorkload(workload, at);
      comparisons.push(
        await compareOne(workload, present, {
          at,
          wanted,
          runningOne,
          ...options,
        }),
      );
      await Deno.remove(at, { recursive: true });
    }
    return comparisons;
  } finally {
    for (const one of running.values()) await one.end();
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeWorkload(
  workload: Workload,
  folder: string,
): Promise<Readonly<Record<string, Wanted>>> {
  const { inputs, wanted, sizes = {} } = await workload.prepare();
  await Deno.mkdir(folder);
  const shapes: Record<string, readonly number[]> = {};
  for (const [name, { shape, values }] of Object.entries(inputs)) {
    const ending = values instanceof Float32Array ? "f32" : "i32";
    await Deno.writeFile(
      `${folder}/${name}.${ending}`,
      new Uint8Array(values.buffer as ArrayBuffer),
    );
    shapes[name] = shape;
  }
  const facts = {
    name: workload.name,
    sizes: { ...workload.sizes, ...sizes },
    shapes,
  };
  await Deno.writeTextFile(`${folder}/workload.json`, JSON.stringify(facts));
  return wanted;
}

interface Setting extends CompareOptions {
  readonly at: string;
  readonly wanted: Readonly<Record<string, Wanted>>;
  runningOne(contender: Contender): Promise<Running>;
}

interface Entrant {
  readonly contender: Contender;
  about: string | null;
  note: string | null;
  cannot: string | null;
  errorShare: number | null;
  one: Running | null;
  readonly secondsOfCall: number[];
  idleSeconds: number;
  waitedSeconds: number;
}

async function compareOne(
  workload: Workload,
  contenders: readonly Contender[],
  setting: Setting,
): Promise<Comparison> {
  const {
    rounds,
    secondsOfRound,
    patienceSeconds,
    at,
    wanted,
    runningOne,
    say,
  } = setting;
  const entrants: Entrant[] = [];
  const attempt = async (
    entrant: Entrant,
    work: (one: Running) => Promise<void>,
  ) => {
    try {
      entrant.one ??= await runningOne(entrant.contender);
      entrant.about = entrant.one.about;
      await work(entrant.one);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      entrant.cannot = error.message;
    }
  };
  for (const contender of contenders) {
    const entrant: Entrant = {
      ...{ contender, about: null, note: null, cannot: null, errorShare: null, one: null },
      ...{ secondsOfCall: [], idleSeconds: 0, waitedSeconds: 0 },
    };
    entrants.push(entrant);
    say(`${workload.name}: checking ${contender.name} ...`);
    await attempt(entrant, async (one) => {
      const { note } = await one.ask({ ask: "prepare", folder: at }, patienceSeconds);
      entrant.note = typeof note === "string" ? note : null;
      const outputs = `${at}/${contender.name.replaceAll(/\W+/g, "-")}.`;
      await one.ask({ ask: "check", outputs }, patienceSeconds);
      const { share, worst } = await errorOf(wanted, outputs);
      entrant.errorShare = share;
      if (!(share <= 1)) {
        throw new Refused(`its result is wrong: ${worst}`);
      }
      await one.ask(
        { ask: "time", seconds: secondsOfRound / 2 },
        patienceSeconds,
      );
      await settle(one.pid, SETTLE_SECONDS);
    });
  }
  for (let round = 0; round < rounds; round++) {
    say(`${workload.name}: round ${round + 1} of ${rounds} ...`);
    const order = entrants.map((_, at) => entrants[(at + round) % entrants.length]);
    for (const entrant of order) {
      if (entrant.cannot !== null) continue;
      const others = entrants.filter(({ one, cannot }) => one && cannot === null && one !== entrant.one);
      const before = others.map(({ one }) => cpuSeconds(one!.pid));
      const start = performance.now();
      await attempt(entrant, async (one) => {
        const answer = await one.ask(
          { ask: "time", seconds: secondsOfRound },
          patienceSeconds,
        );
        entrant.secondsOfCall.push(Number(answer.secondsOfCall));
      });
      const seconds = (performance.now() - start) / 1000;
      others.forEach((other, at) => {
        const after = cpuSeconds(other.one!.pid);
        other.idleSeconds += after === null || before[at] === null ? NaN : after - before[at];
        other.waitedSeconds += seconds;
      });
      if (entrant.one?.alive()) await settle(entrant.one.pid, SETTLE_SECONDS);
    }
  }
  for (const entrant of entrants) {
    const { one } = entrant;
    if (one?.alive()) {
      await attempt(
        { ...entrant },
        async () => void await one.ask({ ask: "free" }, patienceSeconds),
      );
    }
  }
  return {
    workload: workload.name,
    about: workload.about,
    flop: workload.flop,
    rows: entrants.map(({ contender: { name, ours }, idleSeconds, waitedSeconds, ...found }) => ({
      ...{ contender: name, ours, about: found.about, note: found.note, cannot: found.cannot },
      ...{ errorShare: found.errorShare, secondsOfCall: found.secondsOfCall },
      idleCores: waitedSeconds > 0 && Number.isFinite(idleSeconds) ? idleSeconds / waitedSeconds : null,
    })),
  };
}

/** How far a contender's outputs are off, as a share of what is allowed, and the worst of them in words. */
async function errorOf(
  wanted: Readonly<Record<string, Wanted>>,
  outputs: string,
): Promise<{ share: number; worst: string }> {
  let [share, worst] = [0, ""];
  for (const [name, { values, allowed, scale }] of Object.entries(wanted)) {
    let found: Float64Array;
    try {
      found = new Float64Array(
        (await Deno.readFile(`${outputs}${name}.f64`)).buffer,
      );
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Refused(`it gave no output "${name}"`);
    }
    if (found.length !== values.length) {
      throw new Refused(
        `its output "${name}" has ${found.length} values, not ${values.length}`,
      );
    }
    const difference = norm(found.map((value, at) => value - values[at])) /
      (scale ?? norm(values));
    const one = difference / allowed;
    if (!(one <= share)) {
      share = one;
      worst = `"${name}" is off by ${difference.toExponential(1)} of its norm, and rounding explains ` +
        allowed.toExponential(1);
    }
    if (Number.isNaN(one)) break;
  }
  return { share, worst };
}
