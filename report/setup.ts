// What was run, so that it can be judged and run again: checks, facts every run shares, and what sets routers apart.
import { placesOf } from "./timings.ts";
import { checks } from "./checks.ts";
import type { Comparison } from "./comparison.ts";
import { type Content, href, type Markup, markup, table } from "./markup.ts";
import { compact, list, missing } from "./numbers.ts";
import type { Series } from "./series.ts";

function text(value: unknown): string {
  if (value === undefined) return missing;
  return typeof value === "string" ? value : JSON.stringify(value);
}

// Digits in groups of three, whatever the reader's or the machine's language.
function grouped(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 2 });
}

/** Every setting of a config by its path, but for the seed. */
function settings(config: unknown, path = ""): [string, string][] {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return [[path, text(config)]];
  return Object.entries(config).filter(([name]) => path !== "" || name !== "seed").flatMap(([name, value]) =>
    settings(value, path === "" ? name : `${path}.${name}`)
  );
}

/** Facts by name, in order of reading. */
function factsOf({ header }: Series): Map<string, string> {
  const { data, model, arithmetic, experts, task, config } = header;
  return new Map([
    ...(task ? [["Task", task.name], ["Digest of the task", task.digest]] as const : []),
    ["Size", header.size],
    ...(config === undefined
      ? Object.entries(model).map(([name, value]) => [`Model: ${name}`, text(value)] as const)
      : settings(config)),
    ["Precision of experts", experts.precision],
    ["Steps", String(header.steps)],
    ["Corpus", data.corpus],
    ["Rows of the input", grouped(data.vocabulary)],
    ...Object.entries(data.facts).map(([name, value]) => [`Data: ${name}`, grouped(value)] as const),
    ...data.references.map(({ name, loss }) => [`Loss of ${name}`, grouped(loss)] as const),
    ["Device", arithmetic.device],
    ["Fused multiply-add", arithmetic.fusedMultiplyAdd ? "yes" : "no"],
    ["BLAS", arithmetic.blas ?? "off"],
    ["Switchyard", header.version],
  ]);
}

function checkList(comparison: Comparison): Markup {
  const items = checks(comparison).map(({ about, holds, detail }) =>
    markup`<li class="${holds ? "holds" : "fails"}"><b>${holds ? "✓ Yes" : "✗ No"}</b> ${
      detail === null ? about : `${about}: ${detail}`
    }.</li>`
  );
  const { task } = comparison;
  return markup`<h3>Is it like for like${
    task ? ` on ${task.name}` : ""
  }?</h3><ul class="checks">${items}</ul>`;
}

function routers(series: readonly Series[], differing: readonly string[]): Markup {
  const columns = [
    "Router",
    "Plugin",
    "Seeds",
    "Options",
    "Experts",
    "K declared",
    "Units each",
    "FLOP/token planned",
    "Parameters",
    "of router",
    "active",
    ...differing,
  ];
  return table(
    "Routers and their options",
    columns,
    series.map((each): Content[] => {
      const { plugin, routerOptions, experts, expertsPerToken, parameters, activeFlopPerToken } = each.header;
      const options = Object.entries(routerOptions).map(([name, value]) => `${name} ${text(value)}`);
      const facts = factsOf(each);
      return [
        each.name,
        plugin,
        each.runs.length > 0 ? each.runs.map(({ header }) => header.seed).join(", ") : "none finished",
        options.length > 0 ? options.join(", ") : missing,
        String(experts.E),
        String(expertsPerToken ?? experts.K),
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

function weights(all: readonly Comparison[]): Markup {
  const hashes = all.flatMap(({ task, routers }) =>
    routers.flatMap(({ runs }) =>
      runs.map(({ header: { seed, initialWeights } }) => ({
        seed: `${all.length > 1 ? `${task?.name ?? "Without a task"}, seed` : "Seed"} ${seed}`,
        hash: initialWeights,
      }))
    )
  );
  return table(
    "Hash of initial weights outside routers",
    ["Seed", "Hash"],
    [...Map.groupBy(hashes, ({ seed }) => seed)].sort(([a], [b]) =>
      a.localeCompare(b, "en", { numeric: true })
    ).map((
      [seed, group],
    ) => [seed, [...new Set(group.map(({ hash }) => hash))].join(", ")]),
    "text",
  );
}

/** What Setup says that is in no record. */
interface Ran {
  readonly command: string;
  readonly files?: readonly { readonly name: string; readonly path: string }[] | undefined;
}

function rows(files: NonNullable<Ran["files"]>): Content {
  if (files.length === 0) return null;
  return markup`Raw rows: ${
    files.map(({ name, path }, at) => markup`${at > 0 ? ", " : ""}<a href="${href(path)}">${name}</a>`)
  }. JSON Lines hold everything recorded, one row a line; tables one row a run, step and layer.`;
}

/** Setup and how to run it again. */
export function setup(all: readonly Comparison[], { command, files = [] }: Ran): Markup {
  const series = all.flatMap((comparison) => comparison.all);
  const facts = series.map(factsOf);
  const names = [...new Set(facts.flatMap((each) => [...each.keys()]))];
  const differing = names.filter((name) => new Set(facts.map((each) => each.get(name))).size > 1);
  const shared = names.filter((name) => !differing.includes(name));
  const machines = placesOf(series.flatMap(({ timings }) => timings));
  const libraries = [...new Set(series.flatMap(({ timings }) => timings.flatMap(({ blas }) => blas ?? [])))];
  const done = all.filter(({ routers }) => routers.length > 0);
  return markup`${done.map(checkList)}
<h3>Run it again</h3>
<p>The same command writes the same records, byte for byte, on the same arithmetic and one JavaScript engine; only timings differ.</p>
<pre class="scroll" tabindex="0" aria-label="Command">${command}</pre>
<p>${rows(files)}${machines.length > 0 ? ` Timed on ${list(machines)}.` : ""}${
    libraries.length > 0 ? ` Products ran on ${libraries.join("; ")}.` : ""
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
