// A library's product for a thread, whatever kind of library it is: as a function here, as a text for other threads.
import { type Binding, openSgemm, type Sgemm } from "./binding.ts";
import { gemmModel, onnxruntimeApi, openOnnxruntime } from "./onnxruntime.ts";

/** Opens it on memory that begins at `origin` in the process. */
export function openProduct(binding: Binding, memory: WebAssembly.Memory, origin: bigint): Sgemm {
  if (binding.style !== "onnxruntime") return openSgemm(binding);
  return openOnnxruntime(onnxruntimeApi(binding.library), gemmModel, memory, origin);
}

/** The same as the text of a function, made of what names nothing from outside. */
export const productText: string = `(binding, memory, origin) =>
  binding.style === "onnxruntime"
    ? (${openOnnxruntime})((${onnxruntimeApi})(binding.library), ${gemmModel}, memory, origin)
    : (${openSgemm})(binding)`;
