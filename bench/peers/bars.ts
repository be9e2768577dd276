// What is asked for: how many times faster than whom we have to be. A ratio below 1 lets the other be faster.

/** One thing that has to hold. */
export interface Bar {
  readonly workload: string;
  /** Contenders: ours and the other. */
  readonly ours: string;
  readonly peer: string;
  /** Least ratio of the peer's time to ours. */
  readonly least: number;
}

const CPU = "switchyard";
const BLAS = "switchyard-blas";
const WEBGPU = "switchyard-webgpu";
const webgpuPeers = ["onnxruntime-webgpu", "tfjs-webgpu", "jax-js-webgpu"];

/** All bars. Those against PyTorch hold for its fastest formulation. */
export const bars: readonly Bar[] = [
  { workload: "moe-gradient", ours: CPU, peer: "onnxruntime-wasm", least: 1.3 },
  { workload: "moe-gradient", ours: CPU, peer: "jax-js-wasm", least: 5 },
  { workload: "moe-gradient", ours: CPU, peer: "pytorch", least: 0.6 },
  { workload: "moe-gradient", ours: BLAS, peer: "pytorch", least: 1.2 },
  { workload: "moe-gradient", ours: BLAS, peer: "onnxruntime-node", least: 1 },
  { workload: "moe-train", ours: CPU, peer: "pytorch-loop", least: 0.8 },
  { workload: "language-model", ours: CPU, peer: "pytorch", least: 0.6 },
  { workload: "language-model", ours: BLAS, peer: "pytorch", least: 1.2 },
  ...["matmul-512", "matmul-1024", "grouped"].map((workload) => (
    { workload, ours: BLAS, peer: "system-blas", least: 0.75 }
  )),
  ...["matmul-512", "matmul-1024", "grouped", "softmax", "moe-forward"].flatMap((workload) =>
    webgpuPeers.map((peer) => ({ workload, ours: WEBGPU, peer, least: 1 }))
  ),
  ...webgpuPeers.map((peer) => ({ workload: "moe-gradient", ours: WEBGPU, peer, least: 3 })),
];
