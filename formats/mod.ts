// Files of tensors, read by range and written whole or not at all.
/**
 * Safetensors: read by range from a path, an address, a Blob or memory, checked as strictly as by the format's reference
 * reader, and written a tensor at a time.
 * @module
 */
export {
  encodeSafetensors,
  type TensorToMake,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors_write.ts";
export { type ElementRange, readSafetensors, type Safetensors } from "./safetensors.ts";
export type { TensorInfo } from "./safetensors_header.ts";
export { readShardedSafetensors } from "./safetensors_index.ts";
export { type ShardOptions, writeShardedSafetensors } from "./safetensors_shards.ts";
export { writeGguf } from "./gguf_write.ts";
export { encodeOnnx, type OnnxLayout, writeOnnx } from "./onnx_write.ts";
export { decodeOnnx, readOnnx } from "./onnx_read.ts";
export { type OnnxArray, type OnnxSession, openOnnx } from "./onnx_session.ts";
export { onnxFloats } from "./onnx_tensor.ts";
export type {
  ExternalData,
  OnnxAttribute,
  OnnxDtype,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValue,
} from "./onnx_model.ts";
export type { BytesToMake } from "./protobuf.ts";
export type { ByteSource } from "./byte_source.ts";
export type { Place } from "./open_source.ts";
export type { SafetensorsDtype } from "./number_formats.ts";
