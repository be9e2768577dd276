// A process that answers what libraries this machine has and how fast they are: from the cache what it holds, the rest
// measured one after another, each in a process of its own. Its argument is a question, its last line the answer.
import { alone, cachePath, type Entries, keepEntries, readEntries, stampOf } from "./cache.ts";
import { coresToTry } from "./cores.ts";
import type { Measurement, Processor, Refused, Survey } from "./measurement.ts";
import { CORE_TYPE } from "./open.ts";
import { places } from "./places.ts";
import { readProcessor } from "./processor.ts";

/** Checks and times a library under a core type, or under its own choice (null). */
export type Probe = (library: string, told: string | null) => Promise<Measurement | Refused>;

/** A process that has said nothing for so long will not. */
const MOST_SECONDS = 60;

/** The probe that starts a process (probe.ts). */
export async function probeApart(library: string, told: string | null): Promise<Measurement | Refused> {
  const program = new URL("probe.ts", import.meta.url).href;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-config", "--quiet", program, library],
    env: told === null ? {} : { [CORE_TYPE]: told },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * MOST_SECONDS);
  const { success, signal, code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (success) return { ...JSON.parse(text(stdout).split("\n").at(-1)!), told };
  const last = text(stderr).split("\n").at(-1);
  const how = signal === null ? `status ${code}: ${last}` : signal;
  return { library, why: `a process that tried it ended with ${how}`, opened: true };
}

/**
 * All that is worth knowing of one library: as it is, and, where it would use narrower registers than the processor has and
 * the user has not said which, under wider core types until one is right and faster.
 */
export async function measure(
  library: string,
  { flags }: Processor,
  own: string | null,
  probe: Probe,
): Promise<(Measurement | Refused)[]> {
  const first = await probe(library, null);
  if ("why" in first) return [first];
  const found: (Measurement | Refused)[] = [first];
  for (const core of own === null ? coresToTry(first.core, flags) : []) {
    const next = await probe(library, core);
    // A library that does not have these loops takes its own choice instead.
    if ("why" in next || next.core?.toLowerCase() !== core.toLowerCase()) continue;
    found.push(next);
    if (next.wrong === null && next.flopPerSecond > first.flopPerSecond) break;
  }
  return found;
}

/** What may not be the library's fault, and is tried again the next time: killed for time or memory, or it did not open. */
function isPassing(found: Measurement | Refused): boolean {
  return "why" in found && (!found.opened || found.why.endsWith("SIGKILL"));
}

/** A library's file, where a bare name is the loader's. */
function fileOf(name: string, known: readonly string[]): string {
  return /[\\/]/.test(name) ? name : known.find((path) => path.endsWith(`/${name}`)) ?? name;
}

/** What is asked: one library or `auto`; `fresh` measures what was measured before too. */
interface Question {
  readonly library: string;
  readonly fresh?: boolean;
}

async function survey({ library, fresh = false }: Question): Promise<Survey> {
  const processor = readProcessor();
  const own = Deno.env.get(CORE_TYPE) || null;
  const path = await cachePath(processor);
  const known = await places();
  const asked = (library === "auto" ? known : [library]).map((each) => ({
    library: each,
    key: own === null ? each : `${each} ${CORE_TYPE}=${own}`,
    stamp: stampOf(fileOf(each, known)),
  }));
  const isKept = ({ key, stamp }: typeof asked[number]) => stamp !== null && entries[key]?.stamp === stamp;
  let entries = readEntries(path);
  let notKept: string | null = null;
  const passing: Entries = {};
  if (fresh || !asked.every(isKept)) {
    using _alone = await alone(path);
    entries = readEntries(path);
    for (const each of asked.filter((one) => fresh || !isKept(one))) {
      const found = await measure(each.library, processor, own, probeApart);
      const lasting = each.stamp !== null && !found.some(isPassing);
      (lasting ? entries : passing)[each.key] = { stamp: each.stamp, found };
    }
    if (asked.some(isKept)) notKept = await keepEntries(path, entries);
  }
  const found = asked.flatMap(({ key }) => (passing[key] ?? entries[key]).found);
  return {
    processor,
    own,
    measured: found.flatMap((each) => "why" in each ? [] : [each]),
    refused: found.flatMap((each) => "why" in each ? [each] : []),
    notKept,
  };
}

if (import.meta.main) console.log(JSON.stringify(await survey(JSON.parse(Deno.args[0]))));
