// `deno task export`: a model that a run kept, as a file that other programs open. What was written is opened again and held
// against the model at once: ONNX in onnxruntime-web, safetensors tensor by tensor.
import { resolve } from "node:path";
import { lookAt } from "../formats/files.ts";
import { writeGguf } from "../formats/gguf_write.ts";
import { openSource } from "../formats/open_source.ts";
import { openOnnx } from "../formats/onnx_session.ts";
import { writeOnnx } from "../formats/onnx_write.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { INDEX_ENDING, readShardedSafetensors } from "../formats/safetensors_index.ts";
import { writeShardedSafetensors } from "../formats/safetensors_shards.ts";
import { type TensorToMake, writeSafetensors } from "../formats/safetensors_write.ts";
import type { Backend } from "../kernels/kernel.ts";
import { type WeightFormat, weightFormatNames } from "../kernels/parts/weight_formats.ts";
import type { Model } from "../models/model.ts";
import { type Agreement, agreementOf } from "../models/onnx/agreement.ts";
import { exportModel } from "../models/onnx/export.ts";
import { type Target, targets } from "../models/onnx/lowering.ts";
import { rowsOf } from "../models/spec.ts";
import { random } from "../tensor/random.ts";
import { parseConfig, type RunConfig } from "../training/config.ts";
import { type LoadedModel, loadModel } from "../training/load_model.ts";
import { routerStates } from "../training/model_weights.ts";
import { packedTensorsOf } from "../training/packed_experts.ts";
import { besideWeights } from "../training/saved_model.ts";
import { specOf } from "../training/spec_of.ts";
import { changedModel } from "./changed_model.ts";
import { keptModelOptions, namedRun, openForModel, runNote } from "./kept_model.ts";
import { type CommandLine, runTask, valueOf, wholeNumberOf, type Words } from "./options.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";

const formats = ["onnx", "safetensors", "gguf"] as const;

/** What programs that run GGUF know models by: none has one of ours. */
const ARCHITECTURE = "switchyard";

/** What `deno task export` takes. */
export const exportLine: CommandLine = {
  task: "export",
  about:
    "Writes a model that `deno task experiments --save` kept for other programs, and checks what it wrote.",
  operands: "RUN",
  options: {
    format: {
      about:
        "onnx, run in onnxruntime-web at once, safetensors, or gguf: tensors and texts, which nothing runs",
      value: "NAME",
      default: "onnx",
    },
    target: {
      about: "experts as onnxruntime's own operator, in standard operators, or all of them on every token",
      value: targets.join("|"),
      default: "fused",
    },
    longest: {
      about:
        "tokens of the longest sequence that the ONNX model takes (default: 2048, or train.length if more)",
      value: "N",
    },
    "shard-size": {
      about: "several safetensors files of at most so many MiB, with an index that makes one model of them",
      value: "MIB",
    },
    weights: {
      about:
        "experts' matrices of a safetensors file in fewer bits, as training with experts.weights rounds them",
      value: weightFormatNames.join("|"),
    },
    set: {
      about: "an option of the router, like switch.capacityRule=dropless (repeatable)",
      value: "PATH=VALUE",
      repeatable: true,
    },
    out: {
      about: "the file to write (default: the run's name, in this folder)",
      value: "FILE",
      isPath: true,
    },
    ...keptModelOptions,
  },
  notes: [
    runNote,
    "",
    "Example",
    "  deno task experiments --task languages --routers switch --seeds 1 --save",
    "  deno task export results/compare/runs/switch-seed0",
  ],
};

/** What to write where. */
export interface ExportChoice {
  readonly run: string;
  readonly format: typeof formats[number];
  readonly target: Target;
  readonly weights: WeightFormat | null;
  readonly longest: number | null;
  /** MiB of a file; null = one file. */
  readonly shardSize: number | null;
  readonly set: readonly string[];
  readonly out: string | null;
}

/**
 * Reads what is typed.
 * @param stands Where the user stands, if not in the folder that the command runs in.
 * @throws {RangeError} naming what cannot be used.
 */
export function readExport(words: Words, stands: string | null): ExportChoice {
  const run = namedRun(words, stands, "export");
  const format = valueOf(words, "format") ?? "onnx";
  const target = valueOf(words, "target") ?? "fused";
  const weights = valueOf(words, "weights");
  const choice = {
    run,
    format: chosen("format", format, formats),
    target: chosen("target", target, targets),
    weights: weights === null ? null : chosen("weights", weights, weightFormatNames),
    longest: wholeNumberOf(words, "longest", 1, 1_000_000),
    shardSize: wholeNumberOf(words, "shard-size", 1, 2 ** 30),
    set: words.values.set,
    out: valueOf(words, "out"),
  };
  const ofOnnx = ["target", "longest"].find((option) => valueOf(words, option) !== null);
  if (choice.format !== "onnx" && ofOnnx) {
    throw new RangeError(`Cannot use --${ofOnnx} with --format ${format}: only ONNX models have one`);
  }
  if (choice.format !== "safetensors" && choice.shardSize !== null) {
    throw new RangeError(
      `Cannot use --shard-size ${choice.shardSize} with --format ${choice.format}: choose --format safetensors`,
    );
  }
  if (choice.format !== "safetensors" && choice.weights !== null) {
    throw new RangeError(
      `Cannot use --weights ${choice.weights} with --format ${choice.format}: choose --format safetensors`,
    );
  }
  return choice;
}

function chosen<Name extends string>(option: string, name: string, names: readonly Name[]): Name {
  const found = names.find((one) => one === name);
  if (found) return found;
  throw new RangeError(`Cannot use --${option} ${name}: there are ${names.join(", ")}`);
}

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = fromWhereTheUserStands(given, exportLine, stands);
  const choice = readExport(words, stands);
  const backend = await openForModel(words);
  try {
    using loaded = await loadModel(choice.run, { backend });
    const model = changedModel(loaded, choice.set, backend);
    const out = choice.out ?? resolve(stands ?? ".", `${loaded.run}.${choice.format}`);
    const write = { onnx: writeAsOnnx, safetensors: writeAsSafetensors, gguf: writeAsGguf };
    for (const line of await write[choice.format](model, loaded, { ...choice, out }, backend)) {
      console.log(line);
    }
    if (choice.set.length > 0) console.log(`It decides with ${choice.set.join(" ")}, unlike in its run.`);
  } finally {
    backend.close();
  }
}

type Writer = (
  model: Model,
  loaded: LoadedModel,
  choice: ExportChoice & { readonly out: string },
  backend: Backend,
) => Promise<string[]>;

const writeAsOnnx: Writer = async (model, loaded, { out, target, longest }, backend) => {
  const metadata = textsOf(loaded);
  const onnx = await exportModel(model, backend, {
    target,
    metadata,
    ...(longest === null ? {} : { longest }),
  });
  const files = await writeOnnx(out, onnx);
  await using session = await openOnnx(out);
  const length = Math.min(loaded.config.train.length, longest ?? Infinity, 256);
  const rows = rowsOf(model.spec.input);
  const ids = Array.from(
    { length: Math.max(2, Math.ceil(256 / length)) },
    (_, at) => Int32Array.from(random(at).split("export").uniform(length), (draw) => Math.floor(draw * rows)),
  );
  const found = await agreementOf(model, backend, session, ids);
  const beside = files.length > 1 ? `, with ${files.slice(1).join(", ")} beside it` : "";
  const lines = [
    `${out}: ${onnx.nodes.length} nodes (${target}), ${await sizeOf(out, files)}${beside}`,
    `In onnxruntime-web, on ${found.tokens} tokens drawn evenly: ${agreementText(found)}.`,
  ];
  if (found.different > found.ties || !(found.outputs <= 1e-4)) {
    throw new Error(
      `Cannot vouch for ${out}: ${agreementText(found)}; please report it, with the run's config`,
    );
  }
  return lines;
};

function agreementText({ outputs, choices, different, ties }: Agreement): string {
  const differing = different === 0 ? "none differs" : `${different} differ, ${ties} of them at ties`;
  return `scores differ by at most ${
    outputs.toExponential(1)
  } of the largest; of ${choices} choices ${differing}`;
}

async function sizeOf(out: string, files: readonly string[]): Promise<string> {
  const folder = out.slice(0, out.lastIndexOf("/") + 1);
  const sizes = await Promise.all(files.map((file) => lookAt(folder + file)));
  return `${(sizes.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20).toFixed(1)} MiB`;
}

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

const writeAsSafetensors: Writer = async (model, loaded, { out, shardSize, weights }) => {
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
};

const writeAsGguf: Writer = async (model, loaded, { out }) => {
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
};

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

/** Where a model comes from, as files keep it. */
function textsOf({ run, step, config, version }: LoadedModel): Record<string, string> {
  return { switchyard: JSON.stringify({ run, step, version }), config: JSON.stringify(config) };
}

if (import.meta.main) await runTask(exportLine, main);
