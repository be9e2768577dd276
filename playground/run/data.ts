// A task's data in a page: what the task makes itself, or a corpus that lies beside the page.
import type { BrownText } from "../../data/brown.ts";
import { brownSample, type CorpusSource } from "../../data/corpora.ts";
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import type { TaskData } from "../../tasks/task.ts";
import { loadSource, type TextOptions } from "../../tasks/text.ts";
import type { Chosen } from "../../training/run_schema.ts";

/** The corpus beside the page. */
export interface CorpusFile {
  /** What it is and how it may be used. */
  readonly about: string;
  readonly texts: readonly BrownText[];
}

/**
 * Loads the task of a config. @param corpus Address of the corpus.
 * @throws {RangeError} when it is of another text than the page has.
 */
export async function loadData({ name, ...options }: Chosen, corpus: string): Promise<TaskData> {
  const plugin = findTask(name);
  const parsed = parseTaskOptions(plugin, options);
  if (!("corpus" in parsed)) return await plugin.load(parsed);
  return await loadSource(sourceOf(parsed, corpus), parsed);
}

function sourceOf({ corpus: name }: TextOptions, address: string): CorpusSource {
  const source = brownSample(async () => (await readCorpus(address)).texts);
  if (source.name === name) return source;
  throw new RangeError(
    `Cannot load corpus "${name}" in a page: it has "${source.name}"; deno task experiments has the others`,
  );
}

async function readCorpus(address: string): Promise<CorpusFile> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`Cannot load the page's corpus: the server answers ${answer.status}`);
  return await answer.json();
}
