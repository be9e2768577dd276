// A kept model's tensors and texts as a file of another format, read back and compared at once.
import { writeGguf } from "../formats/gguf_write.ts";
import { openSource } from "../formats/open_source.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { INDEX_ENDING, readShardedSafetensors } from "../formats/safetensors_index.ts";
import { writeShardedSafetensors } from "../formats/safetensors_shards.ts";
import { type TensorToMake, writeSafetensors } from "../formats/safetensors_write.ts";
import type { WeightFormat } from "../kernels/parts/weight_formats.ts";
import type { Model } from "../models/model.ts";
import { parseConfig, type RunConfig } from "../training/config.ts";
import type { LoadedModel } from "../training/load_model.ts";
import { routerStates } from "../training/model_weights.ts";
import { packedTensorsOf } from "../training/packed_experts.ts";
import { besideWeights } from "../training/saved_model.ts";
import { specOf } from "../training/spec_of.ts";

/** What programs that run GGUF know models by: none has one of ours. */
const ARCHITECTURE = "switchyard";

/**
 * Everything that a kept model's file holds: tensors that are made when they are written, and texts.
 * @param weights A format that experts' matrices are packed in.
 */
function contentOf(
  model: Model,
  loaded: LoadedModel,
  weights: WeightFormat | null,
): { readonly tensors: Record<string, TensorToMake>; readonly texts: Readonly<Record<string, string>> } {
  const { input, target } = model.spec;
  const data = { input, output: target, vocabulary: loaded.vocabulary };
  const config = weights ? withWeights(loaded.config, weights) : loaded.config;
  const packed = weights
    ? packedTensorsOf(model, specOf(config, { input, output: target, bestRouting: null }))
    : null;
  const tensors: Record<string, TensorToMake> = { ...packed?.tensors };
  for (const [name, param] of Object.entries(model.params)) {
    if (packed?.instead.has(name)) continue;
    tensors[name] = { dtype: "F32", shape: param.shape, data: () => param.read() };
  }
  for (const [name, { values, shape }] of Object.entries(routerStates(model.routers))) {
    tensors[name] = { dtype: "F32", shape, data: () => values };
  }
  const beside = besideWeights(config, data, loaded);
  for (const [name, { values, shape }] of Object.entries(beside.tensors)) {
    tensors[name] = { dtype: "I32", shape, data: () => values };
  }
  return { tensors, texts: beside.metadata };
}

/** Writes a model as safetensors, in one file or several; says what it wrote, a line each. */
export async function writeAsSafetensors(
  model: Model,
  loaded: LoadedModel,
  { out, shardSize, weights }: {
    readonly out: string;
    /** MiB of a file; null = one file. */
    readonly shardSize: number | null;
    readonly weights: WeightFormat | null;
  },
): Promise<string[]> {
  const { tensors, texts } = contentOf(model, loaded, weights);
  const metadata = { format: "pt", ...texts };
  const path = shardSize === null
    ? out
    : `${out.replace(/\.safetensors(\.index\.json)?$/, "")}${INDEX_ENDING}`;
  const files = shardSize === null
    ? []
    : await writeShardedSafetensors(path, tensors, { shardBytes: shardSize * 2 ** 20, metadata });
  if (shardSize === null) await writeSafetensors(path, tensors, metadata);
  const file = shardSize === null ? await readSafetensors(path) : await readShardedSafetensors(path);
  await checkWritten(path, tensors, (name) => file.bytes(name));
  const others = files.length === 0 ? "" : `, in ${files.join(", ")} beside it`;
  return [`${path}: ${Object.keys(tensors).length} tensors${others}, read back as they are`];
}

/** Writes a model's tensors and texts as GGUF; says what it wrote, a line each. */
export async function writeAsGguf(
  model: Model,
  loaded: LoadedModel,
  { out }: { readonly out: string },
): Promise<string[]> {
  const { tensors, texts } = contentOf(model, loaded, null);
  const own = Object.entries(texts).map(([key, text]) => [`${ARCHITECTURE}.${key}`, text]);
  const general = { "general.architecture": ARCHITECTURE, "general.name": loaded.run };
  const places = await writeGguf(out, tensors, { ...general, ...Object.fromEntries(own) });
  const file = await openSource(out);
  await checkWritten(out, tensors, async (name, bytes) => {
    const into = new Uint8Array(bytes);
    await file.read(places[name], into);
    return into;
  });
  return [
    `${out}: ${Object.keys(tensors).length} tensors, read back as they are`,
    "No program runs it as a model: those that read GGUF know models by their architecture, and none has this one.",
  ];
}

/** @throws {Error} when a tensor that was written is not read as it is. */
async function checkWritten(
  path: string,
  tensors: Readonly<Record<string, TensorToMake>>,
  read: (name: string, bytes: number) => Promise<Uint8Array>,
): Promise<void> {
  for (const [name, { data }] of Object.entries(tensors)) {
    const { buffer, byteOffset, byteLength } = await data();
    const wanted = new Uint8Array(buffer, byteOffset, byteLength);
    const found = await read(name, byteLength);
    if (found.length === byteLength && wanted.every((byte, at) => byte === found[at])) continue;
    throw new Error(`Cannot vouch for ${path}: "${name}" differs`);
  }
}

/** A config whose experts' matrices are kept in a format. @throws {RangeError} where its kind of experts has none. */
function withWeights(config: RunConfig, weights: WeightFormat): RunConfig {
  return parseConfig({ ...config, experts: { ...config.experts, weights } });
}
