// Written by `deno task build:wasm` from kernels/*/cpu.as.ts. Do not edit.

/** Programs of the modules; a program's number is its place here. */
export const programs: readonly string[] = ["adamw","affine","attention","attentionGradient","balancedAssignment","binary","broadcastColumns","broadcastRows","chunkCosine","chunkCosineGradient","clipScale","combineRows","combineRowsGradient","copyColumns","count","countToShare","crossEntropy","crossEntropyGradient","divergence","exchangeGain","gatherRows","groupBy","groupedMatmul","groupedWeightGradient","gumbel","hashPairs","jitter","keepRanked","logSoftmaxGradient","logsumexp","matmul","meanEntropy","normal","packHalf","pairedSwiglu","pairedSwigluGradient","quantise","quantisedMatmul","rankInGroup","rmsNorm","rmsNormGainGradient","rmsNormGradient","rope","rowDot","rowShareGradient","shareLoss","shareLossGradient","softmax","softmaxGradient","sumFirst","sumLast","sumSquares","swiglu","swigluGradient","takeAlong","takeAlongGradient","toFloat","topK","transpose","unary","unaryGradient","uniform","unpackHalf","where","zLoss","zLossGradient"];

/** Loads a module, gzipped, as base64. */
export const modules: Readonly<Record<string, () => Promise<{ readonly default: string }>>> = {
  relaxedShared: () => import("./wasm/relaxed_shared.ts"),
  plainShared: () => import("./wasm/plain_shared.ts"),
  relaxedSingle: () => import("./wasm/relaxed_single.ts"),
  plainSingle: () => import("./wasm/plain_single.ts"),
};
