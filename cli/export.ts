// `deno task export`: a model that a run kept, as a file that other programs open. What was written is opened again and held
// against the model at once: ONNX in onnxruntime-web, safetensors tensor by tensor.
import { resolve } from "node:path";
import { lookAt } from "../formats/file_on_disk.ts";
import { openOnnx } from "../formats/onnx_session.ts";
import { writeOnnx } from "../formats/onnx_write.ts";
import type { Backend } from "../kernels/kernel.ts";
import { type WeightFormat, weightFormatNames } from "../kernels/parts/weight_formats.ts";
import type { Model } from "../models/model.ts";
import { type Agreement, agreementOf } from "../models/onnx/agreement.ts";
import { exportModel } from "../models/onnx/export.ts";
import { type Target, targets } from "../models/onnx/lowering.ts";
import { rowsOf } from "../models/spec.ts";
import { random } from "../tensor/random.ts";
import { type LoadedModel, loadModel } from "../training/load_model.ts";
import { changedModel } from "./changed_model.ts";
import { keptModelOptions, namedRun, openForModel, runNote } from "./kept_model.ts";
import { type CommandLine, runTask, valueOf, wholeNumberOf, type Words } from "./options.ts";
import { writeAsGguf, writeAsSafetensors } from "./export_tensors.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";

const formats = ["onnx", "safetensors", "gguf"] as const;

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
    const write: Record<typeof formats[number], Writer> = {
      onnx: writeAsOnnx,
      safetensors: writeAsSafetensors,
      gguf: writeAsGguf,
    };
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

/** Where a model comes from, as files keep it. */
function textsOf({ run, step, config, version }: LoadedModel): Record<string, string> {
  return { switchyard: JSON.stringify({ run, step, version }), config: JSON.stringify(config) };
}

if (import.meta.main) await runTask(exportLine, main);
