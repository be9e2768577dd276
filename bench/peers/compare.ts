// Who computes what, how right and how fast. Results are checked before anything is timed; then contenders take turns,
// round by round, each alone, so that ratios come from the same minutes.
import { cpuSeconds, settle } from "./idle.ts";
import { type Command, Refused, type Running, start } from "./process.ts";
import type { Wanted, Workload } from "./workload.ts";
import { norm } from "./workloads.ts";

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
  /** Cores it kept busy while it was not its turn; null when it waited too little to tell. */
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
/** Less waiting than this is mostly a process's own answers to how much it computed. */
const LEAST_WAITED_SECONDS = 1;

/** Runs workloads one after the other; a contender that fails is listed with its reason and tried again on the next. */
export async function compare(
  workloads: readonly Workload[],
  contenders: readonly Contender[],
  options: CompareOptions,
): Promise<Comparison[]> {
  const running = new Map<string, Running>();
  const neverStarted = new Map<string, Refused>();
  const folder = await Deno.makeTempDir({ prefix: "peers-" });

  async function runningOne({ name, command }: Contender): Promise<Running> {
    const found = running.get(name);
    if (found?.alive()) return found;
    if (neverStarted.has(name)) throw neverStarted.get(name)!;
    try {
      const started = await start(command, options.patienceSeconds);
      running.set(name, started);
      return started;
    } catch (error) {
      if (error instanceof Refused) neverStarted.set(name, error);
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
      comparisons.push(await compareOne(workload, present, { ...options, at, wanted, runningOne }));
      await Deno.remove(at, { recursive: true });
    }
    return comparisons;
  } finally {
    for (const one of running.values()) await one.end();
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeWorkload(workload: Workload, folder: string): Promise<Readonly<Record<string, Wanted>>> {
  const { inputs, wanted, sizes = {} } = await workload.prepare();
  await Deno.mkdir(folder);
  const shapes: Record<string, readonly number[]> = {};
  for (const [name, { shape, values }] of Object.entries(inputs)) {
    const ending = values instanceof Float32Array ? "f32" : "i32";
    await Deno.writeFile(`${folder}/${name}.${ending}`, new Uint8Array(values.buffer as ArrayBuffer));
    shapes[name] = shape;
  }
  const facts = { name: workload.name, sizes: { ...workload.sizes, ...sizes }, shapes };
  await Deno.writeTextFile(`${folder}/workload.json`, JSON.stringify(facts));
  return wanted;
}

interface Setting extends CompareOptions {
  readonly at: string;
  readonly wanted: Readonly<Record<string, Wanted>>;
  runningOne(contender: Contender): Promise<Running>;
}

/** A contender on its way through one workload. */
interface Entrant {
  readonly contender: Contender;
  one: Running | null;
  about: string | null;
  note: string | null;
  cannot: string | null;
  errorShare: number | null;
  readonly secondsOfCall: number[];
  idleSeconds: number;
  waitedSeconds: number;
}

async function compareOne(
  workload: Workload,
  contenders: readonly Contender[],
  setting: Setting,
): Promise<Comparison> {
  const { rounds, patienceSeconds, say } = setting;
  const entrants = contenders.map((contender): Entrant => ({
    contender,
    one: null,
    about: null,
    note: null,
    cannot: null,
    errorShare: null,
    secondsOfCall: [],
    idleSeconds: 0,
    waitedSeconds: 0,
  }));
  for (const entrant of entrants) {
    say(`${workload.name}: checking ${entrant.contender.name} ...`);
    await attempt(entrant, () => enter(entrant, setting));
  }
  for (let round = 0; round < rounds; round++) {
    say(`${workload.name}: round ${round + 1} of ${rounds} ...`);
    // No contender always follows the same neighbour.
    for (const at of entrants.keys()) {
      const entrant = entrants[(at + round) % entrants.length];
      if (entrant.cannot !== null) continue;
      const others = entrants.filter((other) => other.cannot === null && other !== entrant);
      await attempt(entrant, () => takeTurn(entrant, others, setting));
    }
  }
  for (const { one } of entrants) {
    // What cannot even be freed is ended, and started anew for the next workload.
    if (one?.alive()) await one.ask({ ask: "free" }, patienceSeconds).catch(() => one.end());
  }
  return {
    workload: workload.name,
    about: workload.about,
    flop: workload.flop,
    rows: entrants.map(({ contender: { name, ours }, idleSeconds, waitedSeconds, ...found }) => ({
      contender: name,
      ours,
      about: found.about,
      note: found.note,
      cannot: found.cannot,
      errorShare: found.errorShare,
      secondsOfCall: found.secondsOfCall,
      idleCores: waitedSeconds > LEAST_WAITED_SECONDS ? idleSeconds / waitedSeconds : null,
    })),
  };
}

/** Lists a contender that refuses, crashes or hangs with its reason. */
async function attempt(entrant: Entrant, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    entrant.cannot = error.message;
  }
}

/** Prepares a contender, checks its outputs and warms it up. */
async function enter(entrant: Entrant, setting: Setting): Promise<void> {
  const { at, wanted, runningOne, patienceSeconds, secondsOfRound } = setting;
  const { contender } = entrant;
  const one = entrant.one = await runningOne(contender);
  entrant.about = one.about;
  const { note } = await one.ask({ ask: "prepare", folder: at }, patienceSeconds);
  entrant.note = typeof note === "string" ? note : null;
  const outputs = `${at}/${contender.name.replaceAll(/\W+/g, "-")}.`;
  const { secondsOfCall } = await one.ask({ ask: "check", outputs }, patienceSeconds);
  const { share, worst } = await errorOf(wanted, outputs);
  entrant.errorShare = share;
  if (!(share <= 1)) throw new Refused(`its result is wrong: ${worst}`);
  // Two calls have warmed up whoever takes longer than a round for one.
  if (Number(secondsOfCall) < secondsOfRound) {
    await one.ask({ ask: "time", seconds: secondsOfRound / 2 }, patienceSeconds);
  }
  await settle(one, SETTLE_SECONDS);
}

/** Times a contender once, and what the others compute meanwhile. */
async function takeTurn({ one, secondsOfCall }: Entrant, others: Entrant[], setting: Setting): Promise<void> {
  const before = await Promise.all(others.map(({ one }) => cpuSeconds(one!)));
  const start = performance.now();
  const { patienceSeconds, secondsOfRound } = setting;
  const answer = await one!.ask({ ask: "time", seconds: secondsOfRound }, patienceSeconds);
  secondsOfCall.push(Number(answer.secondsOfCall));
  const waited = (performance.now() - start) / 1000;
  const after = await Promise.all(others.map(({ one }) => cpuSeconds(one!)));
  others.forEach((other, at) => {
    other.idleSeconds += after[at] - before[at];
    other.waitedSeconds += waited;
  });
  await settle(one!, SETTLE_SECONDS);
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
      found = new Float64Array((await Deno.readFile(`${outputs}${name}.f64`)).buffer);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Refused(`it gave no output "${name}"`);
    }
    if (found.length !== values.length) {
      throw new Refused(`its output "${name}" has ${found.length} values, not ${values.length}`);
    }
    const off = norm(found.map((value, at) => value - values[at])) / (scale ?? norm(values));
    // NaN is worst of all.
    if (off / allowed <= share) continue;
    share = off / allowed;
    worst = `"${name}" is off by ${off.toExponential(1)} of its norm, and rounding explains ` +
      allowed.toExponential(1);
    if (Number.isNaN(share)) break;
  }
  return { share, worst };
}
