// GPUs by what their makers publish, for figures on paper.

/** A GPU by what its maker publishes. */
export interface Gpu {
  readonly name: string;
  /** Operations in f32 a second outside matrix units, which WebGPU does not reach. */
  readonly flopPerSecond: number;
  readonly bytesPerSecond: number;
  /** Streaming multiprocessors, compute units, cores: what a workgroup runs on one of. */
  readonly units: number;
  readonly source: string;
}

/** A spread of sizes and makers. */
export const gpus: readonly Gpu[] = [
  {
    name: "H100 SXM",
    flopPerSecond: 67e12,
    bytesPerSecond: 3.35e12,
    units: 132,
    source: "NVIDIA H100 Tensor Core GPU data sheet",
  },
  {
    name: "H100 PCIe",
    flopPerSecond: 51e12,
    bytesPerSecond: 2.0e12,
    units: 114,
    source: "NVIDIA H100 Tensor Core GPU data sheet",
  },
  {
    name: "RTX 4090",
    flopPerSecond: 82.6e12,
    bytesPerSecond: 1.008e12,
    units: 128,
    source: "NVIDIA Ada GPU Architecture white paper",
  },
  {
    name: "MI300X",
    flopPerSecond: 163.4e12,
    bytesPerSecond: 5.3e12,
    units: 304,
    source: "AMD Instinct MI300X data sheet",
  },
  {
    name: "M2, 10 cores",
    flopPerSecond: 3.6e12,
    bytesPerSecond: 0.1e12,
    units: 10,
    source: "Apple's announcement of M2 (2022)",
  },
  {
    name: "Arc A770 16GB",
    flopPerSecond: 17.2e12,
    bytesPerSecond: 0.56e12,
    units: 32,
    source: "Intel product specifications; 4096 lanes x 2 x 2.1 GHz",
  },
];
