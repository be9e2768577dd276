// Written by `deno task build:wasm` from kernels/*/cpu.as.ts. Do not edit.

/** Programs of the modules; a program's number is its place here. */
export const programs: readonly string[] = ["adamw","affine","attention","attentionGradient","balancedAssignment","binary","broadcastColumns","broadcastRows","chunkCosine","chunkCosineGradient","clipScale","combineRows","combineRowsGradient","copyColumns","count","countToShare","crossEntropy","crossEntropyGradient","divergence","exchangeGain","gatherRows","groupBy","groupedMatmul","groupedWeightGradient","gumbel","hashPairs","jitter","keepRanked","logSoftmaxGradient","logsumexp","matmul","meanEntropy","normal","packHalf","pairedSwiglu","pairedSwigluGradient","quantise","quantisedMatmul","rankInGroup","rmsNorm","rmsNormGainGradient","rmsNormGradient","rope","rowDot","rowShareGradient","shareLoss","shareLossGradient","softmax","softmaxGradient","sumFirst","sumLast","sumSquares","swiglu","swigluGradient","takeAlong","takeAlongGradient","toFloat","topK","transpose","unary","unaryGradient","uniform","unpackHalf","where","zLoss","zLossGradient"];

/** A module, gzipped, as base64; and which of its bytes says that its memory is not shared. */
export interface PackedModule {
  readonly default: string;
  readonly limitsAt: number;
}

/** Loads a module. */
export const modules: Readonly<Record<string, () => Promise<PackedModule>>> = {
  relaxed: () => import("./wasm/relaxed.ts"),
  plain: () => import("./wasm/plain.ts"),
};
