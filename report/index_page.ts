// A page of runs: every experiment with its question, variants, what was found and where its files are.
import { href, type Markup, markup } from "./markup.ts";
import { counted, list } from "./numbers.ts";
import type { Outline } from "./outline.ts";
import { page } from "./page.ts";

/** An experiment as it is listed. */
export interface Listed extends Outline {
  readonly name: string;
  /** The question, in a sentence. */
  readonly about: string;
  readonly date: string;
  /** Runs that were asked for. */
  readonly planned: number;
  /** Files of it, by what they are called, with paths from the page. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
}

const mostNamed = 24;

function variants({ variants: names }: Listed): string {
  if (names.length <= mostNamed) return list(names);
  return `${names.slice(0, mostNamed).join(", ")} and ${names.length - mostNamed} more`;
}

function entry(listed: Listed, at: number): Markup {
  const { name, about, date, finished, planned, tasks, headline, files } = listed;
  const [report, ...others] = files.map(({ name, path }) => markup`<a href="${href(path)}">${name}</a>`);
  return markup`<section class="listed" aria-labelledby="runs-${at}"><h2 id="runs-${at}">${name}</h2>
<p class="lead">${about}</p>
<p>${headline}</p>
<p class="meta">${date} · ${
    finished === planned ? counted(finished, "run") : `${finished} of ${planned} runs finished`
  }${tasks.length > 0 ? ` on ${list(tasks)}` : ""}${
    listed.variants.length > 0 ? ` · ${counted(listed.variants.length, "variant")}: ${variants(listed)}` : ""
  }</p>
<p>${report}${others.map((other) => markup` · ${other}`)}</p></section>
`;
}

/** One HTML file that lists experiments, the latest first. */
export function indexPage(all: readonly Listed[]): string {
  const sorted = all.toSorted((a, b) =>
    b.date.localeCompare(a.date) || a.name.localeCompare(b.name, "en", { numeric: true })
  );
  return page(
    {
      title: "Experiments",
      lead:
        "Every folder of results here, the latest first. A line says what was found; the report, how sure that is.",
      meta: counted(all.length, "experiment"),
    },
    sorted.length === 0 ? markup`<p>There are no results yet.</p>` : null,
    [],
    markup`${sorted.map(entry)}`,
  );
}
