// What an ONNX file says, as data: a graph of nodes over named values, its weights, its inputs and outputs. Numbers of fields
// and of kinds are those of onnx.proto, IR version 8.
import type { SafetensorsDtype } from "./number_formats.ts";
import type { BytesToMake } from "./protobuf.ts";

/** A kind of number that ONNX graphs hold, by the name that safetensors files give it. */
export type OnnxDtype = Extract<
  SafetensorsDtype,
  "F32" | "U8" | "I8" | "U16" | "I16" | "I32" | "I64" | "BOOL" | "F16" | "F64" | "U32" | "U64" | "BF16"
>;

/** Kinds of numbers, each with its number in ONNX. */
export const onnxDtypes: Readonly<Record<OnnxDtype, number>> = {
  F32: 1,
  U8: 2,
  I8: 3,
  U16: 4,
  I16: 5,
  I32: 6,
  I64: 7,
  BOOL: 9,
  F16: 10,
  F64: 11,
  U32: 12,
  U64: 13,
  BF16: 16,
};

/** A setting of a node, by what kind of setting it is. */
export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly text: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: OnnxTensor };

/** One operation. */
export interface OnnxNode {
  /** Its operator: `MatMul`. */
  readonly op: string;
  /** The operator's domain; "" for ONNX's own. */
  readonly domain: string;
  /** Values it reads, by name; "" for an optional one that is left out. */
  readonly inputs: readonly string[];
  /** Values it makes, by name. */
  readonly outputs: readonly string[];
  /** Its settings by name. */
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** Numbers that are part of a model. */
export interface OnnxTensor {
  /** What nodes call it. */
  readonly name: string;
  /** What kind of numbers it has. */
  readonly dtype: OnnxDtype;
  /** Sizes of its dimensions; none for a single number. */
  readonly shape: readonly number[];
  /** Little-endian, there or to be made, or where they lie in another file. */
  readonly data: Uint8Array | BytesToMake | ExternalData;
}

/** Bytes in a file beside the model's. */
export interface ExternalData {
  /** Its path from the model's folder. */
  readonly location: string;
  /** Its first byte there. */
  readonly offset: number;
  /** How many they are. */
  readonly bytes: number;
}

/** An input or output of a graph. */
export interface OnnxValue {
  /** What nodes and callers call it. */
  readonly name: string;
  /** What kind of numbers it has. */
  readonly dtype: OnnxDtype;
  /** Sizes, or names of sizes that differ from call to call. */
  readonly shape: readonly (number | string)[];
}

/** A model. */
export interface OnnxModel {
  /** Version of each domain's operators: `{ "": 18 }`. */
  readonly opsets: Readonly<Record<string, number>>;
  /** Its operations, each behind those whose values it reads. */
  readonly nodes: readonly OnnxNode[];
  /** Numbers that are part of it. */
  readonly weights: readonly OnnxTensor[];
  /** What it is given. */
  readonly inputs: readonly OnnxValue[];
  /** What it gives. */
  readonly outputs: readonly OnnxValue[];
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** True for bytes that lie in another file. */
export function isExternal(data: OnnxTensor["data"]): data is ExternalData {
  return "location" in data;
}

/** Bytes that a tensor's numbers take. */
export function bytesOfTensor({ data }: OnnxTensor): number {
  return isExternal(data) ? data.bytes : data.length;
}
