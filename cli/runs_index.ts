// results/index.html: a page of every experiment in a folder of results, made from the report.json of each.
import { basename, dirname, resolve } from "node:path";
import { isMissing, writeAtomic } from "../formats/files.ts";
import { indexPage, type Listed } from "../report/index_page.ts";
import { outlineOf } from "../report/outline.ts";
import { isExpected } from "./options.ts";
import { readResults } from "./read_results.ts";
import { readReportFacts, recordFilesOf } from "./report_files.ts";

/** The folder that results go to where nothing else is said. */
const RESULTS = "results";

/** Whether a folder of results is one of those that a page lists: others lie where a page would be in the way. */
export function isListed(folder: string): boolean {
  return resolve(dirname(folder)) === resolve(RESULTS);
}

/** An experiment's entry; null for a folder that holds none. */
async function listed(folder: string): Promise<Listed | null> {
  if (await isMissing(`${folder}/report.html`)) return null;
  const name = basename(folder);
  const files = [{ name: "Report", path: "report.html" }, ...await recordFilesOf(folder)]
    .map((file) => ({ ...file, path: `${name}/${file.path}` }));
  const facts = await readReportFacts(folder);
  if (facts) {
    return {
      ...facts.outline,
      name,
      about: facts.about,
      date: facts.date,
      planned: facts.runs.length,
      files,
    };
  }
  // A folder from before there was report.json.
  const { runs, timings } = await readResults(folder);
  const [{ header }] = runs;
  return {
    ...outlineOf({}, runs, timings),
    name,
    about: header.task?.about ?? `Runs on ${header.data.corpus}.`,
    date: "",
    planned: runs.length,
    files,
  };
}

/** The entry of a folder that cannot be read says why; the others are listed all the same. */
function damaged(name: string, error: unknown): Listed {
  if (!isExpected(error)) throw error;
  const files = [{ name: "Report", path: `${name}/report.html` }];
  const headline = error.message;
  return { name, about: "", date: "", tasks: [], variants: [], finished: 0, planned: 0, headline, files };
}

/** Writes index.html into a folder of results, and says how many experiments it lists. */
export async function writeIndex(results: string): Promise<number> {
  const found: Listed[] = [];
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(results)) {
    if (isDirectory && !name.startsWith(".")) folders.push(name);
  }
  for (const name of folders.sort()) {
    const entry = await listed(`${results}/${name}`).catch((error) => damaged(name, error));
    if (entry) found.push(entry);
  }
  await writeAtomic(`${results}/index.html`, indexPage(found));
  return found.length;
}
