// Where a command writes. A folder that holds results is never written over: without --out the next free number is
// taken, by making the folder, so that commands started together get one each; with --out the command refuses unless it
// resumes.
import {
  checkWritable,
  claimFolder,
  filesUnder,
  isMissing,
  readText,
  writeAtomic,
} from "../formats/files.ts";
import { UNFINISHED } from "../training/run_store.ts";

const FACTS = "experiment.json";

/** What a folder's results were made with; a resumed command must ask for the same. */
export interface Facts {
  readonly experiment: string;
  readonly tasks: string;
  readonly size: string;
  /** Digests of the tasks' data. */
  readonly data: string;
  /** Digests of the modules given with `--plugin`. */
  readonly plugins: string;
}

/**
 * The folder a command asks for by name or by resuming; null when it asks for none, and {@linkcode nextFolder} has one.
 * @throws {RangeError} when it holds other results, or there is nothing to resume; {Error} when it cannot be written to.
 */
export async function askedFolder(
  { out, resume, experiment }: { out: string | null; resume: boolean; experiment: string },
): Promise<string | null> {
  if (out !== null) {
    const taken = await holds(out);
    if (resume && !taken) throw new RangeError(`Cannot resume ${out}: it holds no experiment`);
    if (!resume && taken) {
      throw new RangeError(
        `Cannot write results to ${out}: it holds an experiment already; add --resume or choose another --out`,
      );
    }
    await checkWritable(out);
    return out;
  }
  if (!resume) return null;
  let latest: string | null = null;
  for (let number = 1; !await isMissing(numbered(experiment, number)); number++) {
    if (await holds(numbered(experiment, number))) latest = numbered(experiment, number);
  }
  if (latest !== null) return latest;
  throw new RangeError(`Cannot resume: there are no results of "${experiment}" in results/`);
}

/** Makes the first of results/NAME, results/NAME-2, ... that is not taken. */
export async function nextFolder(experiment: string): Promise<string> {
  let number = 1;
  while (!await claimFolder(numbered(experiment, number))) number++;
  return numbered(experiment, number);
}

async function holds(folder: string): Promise<boolean> {
  return !await isMissing(`${folder}/${FACTS}`);
}

function numbered(experiment: string, number: number): string {
  return `results/${experiment}${number === 1 ? "" : `-${number}`}`;
}

/** What refusals call a fact. */
const words: Readonly<Record<keyof Facts, string>> = {
  experiment: "its experiment",
  tasks: "its tasks",
  size: "its size",
  data: "the digest of its text or data",
  plugins: "the digest of its plugins' code",
};

/** Writes a new folder's facts, or checks them against what is there. @throws {RangeError} when they differ. */
export async function settleFacts(folder: string, facts: Facts): Promise<void> {
  const path = `${folder}/${FACTS}`;
  if (await isMissing(path)) {
    await writeAtomic(path, JSON.stringify(facts, null, 2) + "\n");
    return;
  }
  const found = { plugins: "", ...await readFacts(path) };
  for (const [name, what] of Object.entries(words) as [keyof Facts, string][]) {
    if (found[name] !== facts[name]) {
      const [before, now] = [found[name] || "none", facts[name] || "none"];
      throw new RangeError(`Cannot resume ${folder}: ${what} was ${before} and is now ${now}`);
    }
  }
}

async function readFacts(path: string): Promise<Partial<Facts>> {
  const text = await readText(path);
  try {
    const found: unknown = JSON.parse(text);
    if (typeof found === "object" && found !== null) return found;
  } catch {
    // said below
  }
  throw new RangeError(
    `Cannot resume from ${path}: it is damaged; remove it to go on with the runs there, or choose another --out`,
  );
}

/**
 * A narrower command would leave runs out of the report that it writes over.
 * @param planned Names of the runs that the command asks for.
 * @throws {RangeError} when the folder holds others.
 */
export async function checkNoOthers(folder: string, planned: readonly string[]): Promise<void> {
  const files = await filesUnder(`${folder}/runs`) ?? [];
  const others = files.filter((file) => file.endsWith(".jsonl") && !file.endsWith(".timing.jsonl"))
    .map((file) => file.slice(0, -".jsonl".length).replace(UNFINISHED, ""))
    .filter((run) => !planned.includes(run));
  if (others.length === 0) return;
  const more = others.length > 3 ? ` and ${others.length - 3} more` : "";
  throw new RangeError(
    `Cannot resume ${folder}: it holds runs that this command does not ask for (${
      others.slice(0, 3).join(", ")
    }${more}), and its report would lose them; ask for them too, or choose another --out`,
  );
}
