// A saved model, made again: from its config as a run makes it, with the parameters and the routers' state of the file.
import type { Vocabulary } from "../data/vocabulary.ts";
import { filesUnder, isMissing } from "../formats/files.ts";
import { isWeb, type Place } from "../formats/open_source.ts";
import { readSafetensors, type Safetensors } from "../formats/safetensors.ts";
import { isIndex, readShardedSafetensors } from "../formats/safetensors_index.ts";
import type { Backend } from "../kernels/kernel.ts";
import { createModel, type Model } from "../models/model.ts";
import { fork } from "../tensor/context.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import type { WeightFormat } from "../tensor/quantised.ts";
import { type Checkpoint, readTensors } from "./checkpoint.ts";
import { parseConfig, type RunConfig } from "./config.ts";
import type { ExpertCacheStatistics } from "./expert_cache.ts";
import { isOfExperts, leaveOnDisk } from "./experts_on_disk.ts";
import { look, type TokenLook } from "./look.ts";
import { assignParameters, restoreStates, routerStates } from "./model_weights.ts";
import { mayBePacked, readPacked } from "./packed_experts.ts";
import { MODEL_ENDING } from "./run_store.ts";
import { dataOf, isOfTask, type ModelOrigin } from "./saved_model.ts";
import { specOf } from "./spec_of.ts";

/** A model that was saved. Close it when done. */
export interface LoadedModel extends ModelOrigin, Disposable {
  /** The model, with its parameters. */
  readonly model: Model;
  /** The run that made it. */
  readonly config: RunConfig;
  /** How text becomes tokens; null for a task that is not of text. */
  readonly vocabulary: Vocabulary | null;
  /** Format of experts' matrices where the file keeps them in fewer bits; null = f32, the only one that can be trained. */
  readonly packedAs: WeightFormat | null;
  /** What experts that were left on disk have cost so far; null where all are in memory. */
  expertCache(): ExpertCacheStatistics | null;
  /** Experts, weights, probabilities and drops of a sequence's tokens, as in evaluation. */
  look(tokenId: Int32Array): Promise<readonly TokenLook[]>;
  /** Frees the parameters; a second time does nothing. */
  close(): void;
}

/** Where a model is loaded to. */
export interface LoadOptions {
  /** Where its parameters go. */
  readonly backend: Backend;
  /**
   * Leaves experts' weights in the file, and holds those used last, of at most so many bytes; one expert is held in any
   * case. Passes then read what they need. The results are the same bit for bit, but such a model cannot be trained.
   */
  readonly expertCacheBytes?: number | undefined;
}

/**
 * Loads a model that a run kept (`--save`), or that {@linkcode Trainer.saveModel} wrote.
 * @param place The file, its path without the ending, an address, a Blob, bytes; the index of several files
 * (`NAME.safetensors.index.json`); or a folder of results that holds one.
 * @throws {RangeError} when the file is damaged, was saved without its config, or does not fit it, or a folder holds no
 * model or several; {Error} when it cannot be read, saying why.
 * @example
 * ```ts
 * import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
 * import { configOf, createTrainer, loadModel } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const recall = findTask("recall");
 * const data = await recall.load(parseTaskOptions(recall));
 * const config = configOf({ "task.name": "recall", ...recall.defaults });
 * const backend = await cpu({ threads: 1 });
 * const folder = await Deno.makeTempDir();
 * using trainer = await createTrainer(config, { backend, data });
 * await trainer.step();
 * await trainer.saveModel(`${folder}/mine.safetensors`);
 * using loaded = await loadModel(`${folder}/mine.safetensors`, { backend });
 * assertEquals([loaded.config, loaded.step], [config, 1]);
 * const name = "blocks.0.experts.in";
 * assertEquals(await loaded.model.params[name].read(), await trainer.model.params[name].read());
 * loaded.close();
 * backend.close();
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function loadModel(
  place: Place,
  { backend, expertCacheBytes }: LoadOptions,
): Promise<LoadedModel> {
  const { found, called, refuse } = await foundAt(place);
  const opened = await openTensors(found, called);
  const inMemory = expertCacheBytes === undefined;
  const file = await readTensors(
    opened,
    (name) => !mayBePacked(opened, name) && (inMemory || !isOfExperts(name)),
  );
  const { config, origin } = textsOf(file, refuse);
  const data = await dataOf(file, config, origin, refuse);
  const whole = specOf(config, data);
  if (!inMemory && [...opened.tensors.keys()].some((name) => mayBePacked(opened, name))) {
    refuse("its experts are kept in fewer bits; load it without expertCacheBytes");
  }
  const packed = await readPacked(opened, refuse);
  const onDisk = inMemory ? null : leaveOnDisk(whole, opened, expertCacheBytes, refuse);
  const init = createInit(backend, random(config.seed).split("init"));
  const model = createModel(onDisk?.spec ?? whole, packed.init(init));
  try {
    const expected = new Set([...Object.keys(model.params), ...Object.keys(routerStates(model.routers))]);
    const strange = [...opened.tensors.keys()].find((name) =>
      !expected.has(name) && !onDisk?.names.has(name) && !packed.taken.has(name) && !isOfTask(name)
    );
    if (strange !== undefined) refuse(`it has a tensor "${strange}", and the model of its config has none`);
    // What all experts of a bank share is in memory.
    const ofAll = await readTensors(opened, (name) => !inMemory && isOfExperts(name) && expected.has(name));
    assignParameters(model.params, { ...file.tensors, ...ofAll.tensors }, refuse);
    restoreStates(model.routers, file.tensors, refuse);
  } catch (error) {
    model.free();
    throw error;
  }
  const [packedAs = null] = packed.taken.values();
  let open = true;
  const close = () => {
    if (open) model.free();
    open = false;
  };
  return {
    ...origin,
    model,
    config,
    vocabulary: data.vocabulary ?? null,
    packedAs,
    expertCache: () => onDisk?.statistics() ?? null,
    look: (tokenId) => look(model, fork(backend), tokenId, sequencesOf([tokenId.length]), origin.step),
    close,
    [Symbol.dispose]: close,
  };
}

/**
 * Refuses a model whose experts' matrices are not in f32.
 * @param what What is being done with the model, for the error.
 * @throws {RangeError} when experts' matrices are kept in fewer bits.
 */
export function refusePacked({ run, packedAs }: LoadedModel, what: string): void {
  if (packedAs === null) return;
  throw new RangeError(
    `Cannot ${what}: the file of ${run} keeps its experts in ${packedAs}, which cannot be trained or changed; take the ` +
      "file that the run kept (--save)",
  );
}

/**
 * The config of the run that made a saved model, without its weights.
 * @throws {RangeError} and {Error} as {@linkcode loadModel} does.
 * @example
 * ```ts
 * import { encodeCheckpoint, configOf, readModelConfig } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const config = configOf({ "train.steps": 9 });
 * const switchyard = JSON.stringify({ run: "mine", step: 9 });
 * const bytes = encodeCheckpoint({}, { switchyard, config: JSON.stringify(config) });
 * assertEquals(await readModelConfig(bytes), config);
 * ```
 */
export async function readModelConfig(place: Place): Promise<RunConfig> {
  const { found, called, refuse } = await foundAt(place);
  return textsOf(await openTensors(found, called), refuse).config;
}

/** One file, or those of an index. */
function openTensors(found: Place, called: string): Promise<Safetensors> {
  return isIndex(found) ? readShardedSafetensors(found) : readSafetensors(found, called);
}

/** The file that a place means, what errors call it, and how it is refused. */
async function foundAt(
  place: Place,
): Promise<{ readonly found: Place; readonly called: string; readonly refuse: (why: string) => never }> {
  const found = typeof place === "string" && !isWeb(place) ? await modelFile(place) : place;
  const called = typeof found === "string" || found instanceof URL ? `model ${found}` : "the model";
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot load ${called}: ${why}`);
  };
  return { found, called, refuse };
}

/** Config and origin. @throws {RangeError} through `refuse` when they are missing or damaged. */
function textsOf(
  { metadata }: Pick<Checkpoint, "metadata">,
  refuse: (why: string) => never,
): { readonly config: RunConfig; readonly origin: ModelOrigin } {
  try {
    const origin = JSON.parse(metadata.switchyard) as ModelOrigin;
    if (typeof origin.run === "string" && Number.isInteger(origin.step) && metadata.config !== undefined) {
      return { origin, config: parseConfig(JSON.parse(metadata.config)) };
    }
  } catch (error) {
    if (error instanceof RangeError) throw error; // what a config refuses, in its own words
  }
  return refuse("its metadata has no run's config; --save and saveModel write files that have one");
}

/** The file that a path means. @throws {RangeError} when a folder holds no model, or several. */
async function modelFile(path: string): Promise<string> {
  const ended = `${path}${MODEL_ENDING}`;
  if (await isMissing(path)) return await isMissing(ended) ? path : ended;
  const files = (await filesUnder(path))?.filter((file) => file.endsWith(MODEL_ENDING));
  if (!files) return path;
  if (files.length === 1) return `${path.replace(/\/+$/, "")}/${files[0]}`;
  const more = files.length > 8 ? `, and ${files.length - 8} more` : "";
  throw new RangeError(
    files.length === 0
      ? `Cannot load a model from ${path}: it holds none; train with --save`
      : `Cannot load a model from ${path}: it holds ${files.length}; name one of ${
        files.slice(0, 8).join(", ")
      }${more}`,
  );
}
