// Every kind of expert of this package. Written by `deno task index`. Do not edit.

export type * from "./expert.ts";
export { constantVector, type ConstantVectorOptions } from "./constant.ts";
export { copy, type CopyOptions } from "./copy.ts";
export { feedForward, type FeedForwardOptions } from "./feed_forward.ts";
export { linear, type LinearOptions } from "./linear.ts";
export { lowRank, type LowRankOptions } from "./low_rank.ts";
export { onnx, type OnnxOptions } from "./onnx.ts";
export { swiglu, type SwigluOptions } from "./swiglu.ts";
export { zero, type ZeroOptions } from "./zero.ts";
