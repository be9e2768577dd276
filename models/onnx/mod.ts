// Models for other runtimes.
/**
 * Trained models and layers as ONNX, for onnxruntime and whatever else reads it.
 * @module
 */
export { exportLayer, exportModel, type OnnxOptions } from "./export.ts";
export { type Agreement, agreementOf } from "./agreement.ts";
export { type FeedForwardNetwork, readFeedForward, startFrom } from "./feed_forward.ts";
export type { Target } from "./lowering.ts";
