// `deno task sample`: text from a model that a run kept, and which experts each of its tokens went to. The text goes to
// standard output as it comes, remarks to standard error.
import { decodeText, encodeText } from "../data/encode.ts";
import { wordsOfPrompt } from "../data/plain_text.ts";
import type { Vocabulary } from "../data/vocabulary.ts";
import { checkDrawing } from "../models/draw.ts";
import { generate, type GenerateOptions } from "../models/generate.ts";
import type { ExpertCacheStatistics } from "../training/expert_cache.ts";
import { type LoadedModel, loadModel } from "../training/load_model.ts";
import { deviceOption, keptModelOptions, namedRun, openForModel, runNote } from "./kept_model.ts";
import { type CommandLine, numberOf, runTask, valueOf, wholeNumberOf, type Words } from "./options.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";
import { routingTable } from "./routing_table.ts";

/** What `deno task sample` takes. */
export const sampleLine: CommandLine = {
  task: "sample",
  about: "Goes on from a prompt with a model that `deno task experiments --save` kept.",
  operands: "RUN",
  options: {
    prompt: { about: "text to go on from", value: "TEXT" },
    "max-tokens": { about: "tokens to generate", value: "N", default: "64" },
    temperature: {
      about: "0 takes the most probable token; 1 draws as the model says, less than 1 likelier ones",
      value: "T",
      default: "0",
    },
    "top-p": {
      about: "draw among the fewest tokens that hold this share of probability",
      value: "P",
      default: "1",
    },
    seed: { about: "seed of the draws", value: "N", default: "0" },
    "show-routing": {
      about: "for each token and layer, its experts with their weights, and those that had no room",
    },
    "experts-on-disk": {
      about: "leave experts in the file, and hold those used last in so many MiB of memory (alone: 64)",
      value: "MIB",
      alone: "64",
    },
    device: deviceOption,
    ...keptModelOptions,
  },
  notes: [
    runNote,
    "",
    "Examples",
    "  deno task experiments --task languages --routers switch --seeds 1 --save",
    "  deno task sample results/compare/runs/switch-seed0 --prompt 'All human ' --show-routing",
  ],
};

/** What to generate from what. */
export interface Choice {
  readonly run: string;
  readonly prompt: string;
  readonly drawing: Required<Pick<GenerateOptions, "maxTokens" | "temperature" | "topP" | "seed">>;
}

/**
 * Reads what is typed.
 * @param stands Where the user stands, if not in the folder that the command runs in.
 * @throws {RangeError} naming what cannot be used.
 */
export function readChoice(words: Words, stands: string | null): Choice {
  const run = namedRun(words, stands, "sample from");
  const prompt = valueOf(words, "prompt");
  if (prompt === null) throw new RangeError("Cannot sample without a prompt: give one with --prompt");
  const [temperature, topP] = [numberOf(words, "temperature") ?? 0, numberOf(words, "top-p") ?? 1];
  checkDrawing({ temperature, topP });
  for (const option of ["top-p", "seed"]) {
    const value = valueOf(words, option);
    if (temperature !== 0 || value === null) continue;
    throw new RangeError(
      `Cannot use --${option} ${value} at temperature 0, which always takes the most probable token: add --temperature`,
    );
  }
  return {
    run,
    prompt,
    drawing: {
      maxTokens: wholeNumberOf(words, "max-tokens", 1, 1_000_000) ?? 64,
      temperature,
      topP,
      seed: wholeNumberOf(words, "seed", 0) ?? 0,
    },
  };
}

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = fromWhereTheUserStands(given, sampleLine, stands);
  const choice = readChoice(words, stands);
  const expertCacheBytes = bytesOfExperts(words);
  const backend = await openForModel(words);
  try {
    using loaded = await loadModel(choice.run, { backend, expertCacheBytes });
    const tokenId = await goOn(loaded, choice);
    if (words.flags["show-routing"]) await showRouting(loaded, tokenId);
    const cache = loaded.expertCache();
    if (cache) console.error(cacheText(cache));
  } finally {
    backend.close();
  }
}

/** What experts in memory may take; undefined where all are to be there. */
function bytesOfExperts(words: Words): number | undefined {
  const mebibytes = numberOf(words, "experts-on-disk");
  if (mebibytes === null) return undefined;
  if (mebibytes >= 0 && mebibytes <= 2 ** 20) return Math.floor(mebibytes * 2 ** 20);
  throw new RangeError(
    `Cannot use --experts-on-disk ${mebibytes}: choose MiB of experts to hold, 0 to ${2 ** 20}`,
  );
}

function cacheText({ asked, found, readBytes, peakBytes, allBytes }: ExpertCacheStatistics): string {
  const share = (100 * found / Math.max(1, asked)).toFixed(1);
  const [read, peak, all] = [readBytes, peakBytes, allBytes].map((bytes) => (bytes / 2 ** 20).toFixed(2));
  return `Experts on disk: ${found} of ${asked} asked for were in memory (${share} %); ${read} MiB read, ` +
    `at most ${peak} of ${all} MiB held.`;
}

/** Writes prompt and continuation; returns the tokens of both. */
async function goOn(loaded: LoadedModel, { prompt, drawing }: Choice): Promise<Routed> {
  const { model, step, run, config, vocabulary } = loaded;
  if (!vocabulary) {
    throw new RangeError(
      `Cannot sample from ${run}: its task "${config.task.name}" is not of text, so it reads no prompt`,
    );
  }
  const promptId = encodeText(prompt, vocabulary);
  if (promptId.length === 0) {
    throw new RangeError(
      `Cannot sample from ${run}: the prompt "${prompt}" has no words; give it one or more`,
    );
  }
  noteUnknown(prompt, vocabulary);
  const decoding = decodeText(vocabulary);
  for (const id of promptId) write(decoding.next(id));
  const { tokenId, withoutCache } = await generate(model, promptId, {
    ...drawing,
    step,
    onToken: ({ tokenId }) => write(decoding.next(tokenId)),
  });
  write(`${decoding.end()}\n`);
  if (withoutCache) console.error(withoutCache);
  return { promptId, tokenId };
}

/** Tokens that were given, and those that were generated. */
interface Routed {
  readonly promptId: Int32Array;
  readonly tokenId: Int32Array;
}

async function showRouting({ look, vocabulary }: LoadedModel, { promptId, tokenId }: Routed): Promise<void> {
  const tokens = await look(Int32Array.of(...promptId, ...tokenId));
  write(`\n${routingTable(tokens, promptId.length, vocabulary!.words)}\n`);
}

function noteUnknown(prompt: string, { unit, words, idOf }: Vocabulary): void {
  if (unit !== "words") return;
  const unknown = [...new Set(wordsOfPrompt(prompt))].filter((word) => words[idOf(word)] !== word);
  if (unknown.length === 0) return;
  console.error(`Not in the vocabulary, and read as <unknown>: ${unknown.join(", ")}.`);
}

function write(text: string): void {
  // What a model says may hold control characters, and a terminal would obey them.
  const shown = Deno.stdout.isTerminal() ? text.replace(/[^\P{Cc}\n\t]/gu, "\uFFFD") : text;
  for (let bytes = new TextEncoder().encode(shown); bytes.length > 0;) {
    bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
  }
}

if (import.meta.main) await runTask(sampleLine, main);
