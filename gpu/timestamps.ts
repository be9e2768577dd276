// Seconds by kernel, from timestamps around every pass. For profiling only: each dispatch gets a pass of its own.

const MOST_PASSES = 1024;

/** Timestamps of one device. */
export interface Timestamps {
  /** True when what is encoded must be submitted before another pass. */
  full(): boolean;
  /** What to begin a kernel's pass with. */
  mark(kernel: string): GPUComputePassTimestampWrites;
  /** Encodes the resolve of this submit's timestamps. */
  encode(encoder: GPUCommandEncoder): void;
  /** Adds what was measured since the last call to the sums. */
  collect(): Promise<void>;
  readonly seconds: Map<string, number>;
}

/** @param device Must have the feature "timestamp-query". */
export function createTimestamps(device: GPUDevice): Timestamps {
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 * MOST_PASSES });
  const seconds = new Map<string, number>();
  let names: string[] = [];
  const submitted: { readonly names: readonly string[]; readonly buffer: GPUBuffer }[] = [];
  return {
    seconds,
    full: () => names.length >= MOST_PASSES,
    mark(kernel) {
      const at = 2 * names.length;
      names.push(kernel);
      return { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
    },
    encode(encoder) {
      if (names.length === 0) return;
      const size = 16 * names.length;
      const resolved = device.createBuffer({
        size,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      });
      const buffer = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      encoder.resolveQuerySet(querySet, 0, 2 * names.length, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, buffer, 0, size);
      submitted.push({ names, buffer });
      names = [];
    },
    async collect() {
      const taken = submitted.splice(0);
      await Promise.all(taken.map(({ buffer }) => buffer.mapAsync(GPUMapMode.READ)));
      for (const { names, buffer } of taken) {
        const times = new BigUint64Array(buffer.getMappedRange());
        names.forEach((name, at) => {
          const nanoseconds = Number(times[2 * at + 1] - times[2 * at]);
          seconds.set(name, (seconds.get(name) ?? 0) + nanoseconds / 1e9);
        });
        buffer.destroy();
      }
    },
  };
}
