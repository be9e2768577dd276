// `deno task inspect`: how a model that a run kept routes a text, or its task's held-out examples, in the terminal, as a
// page, or as JSON.
import type { Vocabulary } from "../data/vocabulary.ts";
import { decodeText, encodeText } from "../data/encode.ts";
import { writeAtomic } from "../formats/files.ts";
import type { Backend } from "../kernels/kernel.ts";
import { fixed, percent } from "../report/numbers.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { changedExperts, type Inspection, inspectRouting } from "../training/inspection.ts";
import { type LoadedModel, loadModel } from "../training/load_model.ts";
import { deviceOption, keptModelOptions, namedRun, openForModel, runNote } from "./kept_model.ts";
import { type About, inspectionPage } from "./inspect_page.ts";
import { inspectionText, type Names } from "./inspect_text.ts";
import { type CommandLine, runTask, valueOf, wholeNumberOf, type Words } from "./options.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";

/** What `deno task inspect` takes. */
export const inspectLine: CommandLine = {
  task: "inspect",
  about:
    "Shows how a model that `deno task experiments --save` kept routes: each token's expert, how near the choice was, what passes from layer to layer, which experts work together, and which words they promote.",
  operands: "RUN",
  options: {
    text: { about: "text to route (default: held-out examples of the model's task)", value: "TEXT" },
    tokens: { about: "tokens of the text to show; figures are over all of them", value: "N", default: "120" },
    batches: { about: "batches of held-out examples to route", value: "N", default: "1" },
    against: {
      about: "another model of the same shape: tells which share of tokens has another expert there",
      value: "RUN",
      isPath: true,
    },
    out: { about: "write a page there", value: "FILE", isPath: true },
    json: { about: "print everything found as JSON" },
    device: deviceOption,
    ...keptModelOptions,
  },
  notes: [
    runNote,
    "",
    "Examples",
    "  deno task experiments --task languages --routers gshard --seeds 1 --save",
    "  deno task inspect results/compare/runs/languages-gshard-seed0 --out routing.html",
    "  deno task inspect results/compare/runs/languages-gshard-seed0 --text 'All human beings are born free'",
  ],
};

/** Tokens to route, and what they are called. */
interface Given {
  readonly tokenId: Int32Array;
  readonly lengths: readonly number[];
  readonly names: Names;
  /** Where they come from, for titles. */
  readonly source: string;
}

function startsOf(lengths: readonly number[]): number[] {
  let at = 0;
  return lengths.map((length) => (at += length) - length);
}

/** What each token adds to its sequence's text. */
function textsOf(tokenId: Int32Array, lengths: readonly number[], vocabulary: Vocabulary): string[] {
  const starts = startsOf(lengths);
  return lengths.flatMap((length, at) => {
    const decoding = decodeText(vocabulary);
    return Array.from(tokenId.subarray(starts[at], starts[at] + length), (id) => decoding.next(id));
  });
}

/** A text of the user's. @throws {RangeError} when the model reads no text, or there is none. */
function ofPrompt(text: string, { vocabulary, config, run }: LoadedModel): Given {
  if (!vocabulary) {
    throw new RangeError(
      `Cannot inspect ${run} on a text: its task "${config.task.name}" is not of text; leave --text out`,
    );
  }
  const tokenId = encodeText(text, vocabulary);
  if (tokenId.length === 0) {
    throw new RangeError(`Cannot inspect ${run}: the text "${text}" has no words; give it one or more`);
  }
  const lengths = [tokenId.length];
  return {
    tokenId,
    lengths,
    names: {
      texts: textsOf(tokenId, lengths, vocabulary),
      starts: [0],
      nameOf: (row) => vocabulary.words[row] ?? String(row),
    },
    source: "a text of yours",
  };
}

/** Held-out examples of the model's task. */
async function ofTask(batches: number, { config, vocabulary }: LoadedModel): Promise<Given> {
  const { name, ...options } = config.task;
  const task = findTask(name);
  const data = await task.load(parseTaskOptions(task, options));
  const examples = data.evaluationExamples(config.train).slice(0, batches);
  const tokenId = Int32Array.from(examples.flatMap((each) => [...each.tokenId]));
  const lengths = examples.flatMap((each) => [...each.lengths]);
  const nameOf = (row: number) => data.nameOf(row) ?? String(row);
  return {
    tokenId,
    lengths,
    names: {
      texts: vocabulary
        ? textsOf(tokenId, lengths, vocabulary)
        : Array.from(tokenId, (id) => `${nameOf(id)} `),
      starts: startsOf(lengths),
      nameOf,
    },
    source: `held-out examples of ${data.name}`,
  };
}

function routingOf({ model, step }: LoadedModel, backend: Backend, { tokenId, lengths }: Given) {
  return inspectRouting(model, backend, { tokenId, sequences: sequencesOf(lengths), step });
}

/** Sentences on tokens whose expert is another in another model. */
async function changesFrom(
  inspection: Inspection,
  path: string,
  backend: Backend,
  given: Given,
): Promise<string[]> {
  using other = await loadModel(path, { backend });
  return changedExperts(inspection, await routingOf(other, backend, given)).map(({ layer, share }) =>
    `Layer ${layer}: ${
      percent(share)
    } of tokens have another expert in ${other.run} after ${other.step} steps.`
  );
}

function aboutOf(
  { run, step, loss, config }: LoadedModel,
  { tokenId, source }: Given,
  changes: readonly string[],
): About {
  return {
    changes,
    title: `Routing of ${run}`,
    lead: `Router ${config.router.name}, after ${step} steps${
      loss === null ? "" : `, held-out loss ${fixed(loss, 3)}`
    }.`,
    meta: `${tokenId.length} tokens of ${source}`,
  };
}

/** Everything as plain data, tokens with their texts. */
function dataOf({ run, step, config }: LoadedModel, { layers, flows, tokens }: Inspection, { texts }: Names) {
  return {
    run,
    step,
    router: config.router.name,
    layers,
    flows,
    tokens: tokens.map((token, at) => ({ text: texts[at], ...token })),
  };
}

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = fromWhereTheUserStands(given, inspectLine, stands);
  const run = namedRun(words, stands, "inspect");
  const [most, batches] = [wholeNumberOf(words, "tokens", 1), wholeNumberOf(words, "batches", 1)];
  const prompt = valueOf(words, "text");
  if (prompt !== null && batches !== null) {
    throw new RangeError(`Cannot use --batches ${batches} with --text: it is all that is routed`);
  }
  const backend = await openForModel(words);
  try {
    using loaded = await loadModel(run, { backend });
    const routed = prompt === null ? await ofTask(batches ?? 1, loaded) : ofPrompt(prompt, loaded);
    const inspection = await routingOf(loaded, backend, routed);
    if (inspection.layers.length === 0) {
      throw new RangeError(`Cannot inspect ${loaded.run}: its model has no mixture`);
    }
    const other = valueOf(words, "against");
    const changes = other === null ? [] : await changesFrom(inspection, other, backend, routed);
    const about = aboutOf(loaded, routed, changes);
    const out = valueOf(words, "out");
    if (out !== null) await writeAtomic(out, inspectionPage(about, inspection, routed.names, most ?? 600));
    if (words.flags.json) {
      return console.log(JSON.stringify({ ...dataOf(loaded, inspection, routed.names), changes }, null, 2));
    }
    const colored = Deno.stdout.isTerminal() && !Deno.noColor;
    console.log([`${about.title}. ${about.lead} ${about.meta}.`, ...about.changes].join("\n") + "\n");
    console.log(inspectionText(inspection, routed.names, { most: most ?? 120, colored }));
    if (out !== null) console.log(`\nPage: ${out}`);
  } finally {
    backend.close();
  }
}

if (import.meta.main) await runTask(inspectLine, main);
