// Where a command writes. A folder that holds results is never written over: without --out the next free number is
// taken, with --out the command refuses unless it resumes.
import { isMissing, readText, writeAtomic } from "../training/files.ts";

const FACTS = "experiment.json";

/** What a folder's results were made with; a resumed command must ask for the same. */
export interface Facts {
  readonly experiment: string;
  readonly size: string;
  readonly steps: number;
  readonly vocabulary: number;
  readonly corpus: string;
}

/**
 * Chooses the folder of a command.
 * @throws {RangeError} when it holds other results, or there is nothing to resume.
 */
export async function chooseFolder(
  wanted: { out: string | null; resume: boolean; experiment: string },
): Promise<string> {
  const holds = async (folder: string) => !await isMissing(`${folder}/${FACTS}`);
  if (wanted.out !== null) {
    const taken = await holds(wanted.out);
    if (wanted.resume && !taken) throw new RangeError(`Cannot resume ${wanted.out}: it holds no experiment`);
    if (!wanted.resume && taken) {
      throw new RangeError(
        `Cannot write results to ${wanted.out}: it holds an experiment already; add --resume or choose another --out`,
      );
    }
    return wanted.out;
  }
  const numbered = (number: number) => `results/${wanted.experiment}${number === 1 ? "" : `-${number}`}`;
  let number = 1;
  while (await holds(numbered(number))) number++;
  if (!wanted.resume) return numbered(number);
  if (number === 1) {
    throw new RangeError(`Cannot resume: there are no results of "${wanted.experiment}" in results/`);
  }
  return numbered(number - 1);
}

/** Writes a new folder's facts, or checks them against what is there. @throws {RangeError} when they differ. */
export async function settleFacts(folder: string, facts: Facts): Promise<void> {
  const path = `${folder}/${FACTS}`;
  if (await isMissing(path)) {
    await writeAtomic(path, JSON.stringify(facts, null, 2) + "\n");
    return;
  }
  const found = JSON.parse(await readText(path)) as Facts;
  for (const name of Object.keys(facts) as (keyof Facts)[]) {
    if (found[name] !== facts[name]) {
      throw new RangeError(
        `Cannot resume ${folder}: its ${name} was ${found[name]} and is now ${facts[name]}`,
      );
    }
  }
}
