// What was run, so that it can be judged and run again: checks, facts every run shares, and what sets routers apart.
import { checks } from "./checks.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { compact, list, missing } from "./numbers.ts";
import { finished, type Series } from "./series.ts";

function text(value: unknown): string {
  if (value === undefined) return missing;
  return typeof value === "string" ? value : JSON.stringify(value);
}

// Digits in groups of three, whatever the reader's or the machine's language.
function grouped(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

/** Facts by name, in order of reading. */
function factsOf({ header }: Series): Map<string, string> {
  const { data, model, arithmetic } = header;
  return new Map([
    ["Size", header.size],
    ...Object.entries(model).map(([name, value]) => [`Model: ${name}`, text(value)] as const),
    ["Steps", String(header.steps)],
    ["Corpus", data.corpus],
    ["Vocabulary", grouped(data.vocabulary)],
    ["Training tokens", grouped(data.trainTokens)],
    ["Validation tokens", grouped(data.validationTokens)],
    ["Unigram perplexity", grouped(data.unigramPerplexity)],
    ["Device", arithmetic.device],
    ["Fused multiply-add", arithmetic.fusedMultiplyAdd ? "yes" : "no"],
    ["System BLAS", arithmetic.blas ?? "off"],
    ["Switchyard", header.version],
  ]);
}

function checkList(series: readonly Series[]): Markup {
  const items = checks(series).map(({ about, holds, detail }) =>
    markup`<li class="${holds ? "holds" : "fails"}"><b>${holds ? "✓ Yes" : "✗ No"}</b> ${
      detail === null ? about : `${about}: ${detail}`
    }.</li>`
  );
  return markup`<h3>Is it like for like?</h3><ul class="checks">${items}</ul>`;
}

function routers(series: readonly Series[], differing: readonly string[]): Markup {
  const columns = [
    "Router",
    "Plugin",
    "Seeds",
    "Options",
    "Experts",
    "K",
    "Units each",
    "FLOP/token",
    "Parameters",
    "of router",
    "active",
    ...differing,
  ];
  return table(
    "Routers and their options",
    columns,
    series.map((each): Content[] => {
      const { plugin, routerOptions, experts, parameters, activeFlopPerToken } = each.header;
      const options = Object.entries(routerOptions).map(([name, value]) => `${name} ${text(value)}`);
      const facts = factsOf(each);
      return [
        each.name,
        plugin,
        each.runs.length > 0 ? each.runs.map(({ header }) => header.seed).join(", ") : "none finished",
        options.length > 0 ? options.join(", ") : missing,
        String(experts.E),
        String(experts.K),
        String(experts.F),
        compact(activeFlopPerToken),
        compact(parameters.total),
        compact(parameters.router),
        compact(parameters.active),
        ...differing.map((name) => facts.get(name) ?? missing),
      ];
    }),
    "text",
  );
}

function weights(series: readonly Series[]): Markup {
  const hashes = series.flatMap(({ runs }) =>
    runs.map(({ header }) => ({ seed: header.seed, hash: header.initialWeights }))
  );
  const seeds = [...Map.groupBy(hashes, ({ seed }) => seed)].sort(([a], [b]) => a - b);
  return table(
    "Hash of initial weights",
    ["Seed", "Hash"],
    seeds.map(([seed, group]) => [`Seed ${seed}`, [...new Set(group.map(({ hash }) => hash))].join(", ")]),
    "text",
  );
}

/** Setup and how to run it again; `series` includes those without a finished run. */
export function setup(series: readonly Series[], command: string): Markup {
  const facts = series.map(factsOf);
  const names = [...new Set(facts.flatMap((each) => [...each.keys()]))];
  const differing = names.filter((name) => new Set(facts.map((each) => each.get(name))).size > 1);
  const shared = names.filter((name) => !differing.includes(name));
  const machines = [
    ...new Set(
      series.flatMap(({ timings }) =>
        timings.map(({ machine, threads }) => `${machine} (threads: ${threads})`)
      ),
    ),
  ];
  const done = finished(series);
  return markup`${done.length > 0 ? checkList(done) : null}
<h3>Run it again</h3>
<p>The same command writes the same records, byte for byte, on the same arithmetic; only timings differ.</p>
<pre class="scroll" tabindex="0" aria-label="Command">${command}</pre>
<p>Raw rows are beside this page: <code>records.jsonl</code> holds everything recorded, one row a line;
<code>records.csv</code> one row a run, step and layer.${
    machines.length > 0 ? ` Timed on ${list(machines)}.` : ""
  }</p>
<div class="grid">${
    table(
      "What all runs share",
      ["Setting", "Value"],
      shared.map((name) => [name, facts[0].get(name)!]),
      "text",
    )
  }
${done.length > 0 ? weights(done) : null}</div>
${routers(series, differing)}`;
}
