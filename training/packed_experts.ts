// Experts' matrices of a saved model in fewer bits: which of a model's can be kept so, how they are written, and an init that
// brings them back as codes and scales, without values in 32 bits.
import { bytesOfWords, packedTensors, wordsOfBytes } from "../formats/packed_tensors.ts";
import type { Safetensors } from "../formats/safetensors.ts";
import type { TensorToMake } from "../formats/safetensors_write.ts";
import { createModel, type Model } from "../models/model.ts";
import type { ModelSpec } from "../models/spec.ts";
import { createInit, type Init } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { quantise, type QuantisedMatrices, type WeightFormat } from "../tensor/quantised.ts";
import { random } from "../tensor/random.ts";
import { lasting } from "../tensor/tensor.ts";

type Shape = QuantisedMatrices["shape"];

/** Answers for matrices by their path among a model's parameters. */
type Answer = (path: string, shape: Shape, format: WeightFormat) => QuantisedMatrices | null;

/** An init that asks about matrices by path. Parts of blocks are named as parameters are: `blocks.1.experts.in`. */
function asking(init: Init, answer: Answer, path = ""): Init {
  return {
    ...init,
    quantised: (name, shape, format) => answer(path + name, shape, format),
    part: (name) => asking(init.part(name), answer, `${path}${name.replace(/^block /, "blocks.")}.`),
  };
}

/**
 * The tensors that a model's matrices in a format are written as, and the parameters that they stand for.
 * @param spec The model's spec, with the format among its experts' options.
 */
export function packedTensorsOf(
  model: Model,
  spec: ModelSpec,
): { readonly tensors: Readonly<Record<string, TensorToMake>>; readonly instead: ReadonlySet<string> } {
  const tensors: Record<string, TensorToMake> = {};
  const instead = new Set<string>();
  const init = asking(createInit(model.backend, random(0)), (path, shape, format) => {
    instead.add(path);
    packedTensors(path, format, shape).forEach(({ name, dtype, shape: dimensions }, at) => {
      const data = async () => {
        using _scope = memory(model.backend);
        const words = await quantise(model.params[path], format).words.read() as Int32Array;
        return bytesOfWords(format, shape, words)[at];
      };
      tensors[name] = { dtype, shape: dimensions, data };
    });
    return null;
  });
  // Made to be asked, and then no longer needed.
  createModel(spec, init).free();
  return { tensors, instead };
}

/** True for tensors that may hold codes or scales: kinds of numbers that parameters are never saved as, or endings. */
export function mayBePacked({ tensors }: Safetensors, name: string): boolean {
  const dtype = tensors.get(name)?.dtype;
  return (dtype !== "F32" && dtype !== "I32") || /_(scales|scale_inv)$/.test(name);
}

/** Matrices of a file that are kept in fewer bits. */
export interface PackedFile {
  /** Makes a model's init bring those matrices that the file has, as codes and scales. */
  init(init: Init): Init;
  /** Names of the tensors that were taken, each with its format. */
  readonly taken: ReadonlyMap<string, WeightFormat>;
}

/** Reads what may be codes or scales; a model is made with them through `init`. */
export async function readPacked(file: Safetensors, refuse: (why: string) => never): Promise<PackedFile> {
  const bytes = new Map<string, Uint8Array>();
  for (const name of file.tensors.keys()) {
    if (mayBePacked(file, name)) bytes.set(name, await file.bytes(name));
  }
  const taken = new Map<string, WeightFormat>();
  return {
    taken,
    init: (init) =>
      asking(init, (path, shape, format) => {
        const parts = packedTensors(path, format, shape);
        if (!parts.some(({ name }) => bytes.has(name))) return null;
        const found = parts.map(({ name, dtype, shape: wanted }) => {
          const { dtype: kind, shape: dimensions } = file.tensors.get(name) ?? refuse(`it has no "${name}"`);
          if (kind !== dtype || String(dimensions) !== String(wanted)) {
            refuse(
              `"${name}" is ${kind} [${
                dimensions.join(", ")
              }], and a model with weights kept as ${format} has ` +
                `${dtype} [${wanted.join(", ")}]`,
            );
          }
          taken.set(name, format);
          return bytes.get(name)!;
        });
        const words = wordsOfBytes(format, shape, found);
        return {
          format,
          shape,
          words: lasting(init.backend, words, [shape[0], words.length / shape[0]], path),
        };
      }),
  };
}
