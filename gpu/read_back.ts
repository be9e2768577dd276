// Reading arrays back: all reads called before the program next waits share one buffer, one submit and one map, because
// waiting for a map costs the same for one number as for many arrays (11 ms in Deno).
import type { HostArray } from "../kernels/kernel.ts";
import { type Block, sizeClass } from "./pool.ts";

/** A copy that was asked for. */
export interface Wanted {
  readonly from: Block;
  readonly values: HostArray;
}

/** Reads of one device. */
export interface ReadBack {
  /** Encodes copies into a buffer for the host. */
  encode(encoder: GPUCommandEncoder, wanted: readonly Wanted[]): GPUBuffer;
  /** Fills the values once the submit that holds the copies is done. */
  finish(staging: GPUBuffer, wanted: readonly Wanted[]): Promise<void>;
}

/** Staging buffers are kept and used again. */
export function createReadBack(device: GPUDevice): ReadBack {
  const free: GPUBuffer[] = [];

  function take(bytes: number): GPUBuffer {
    const at = free.findIndex((buffer) => buffer.size >= bytes);
    if (at >= 0) return free.splice(at, 1)[0];
    // What has become too small is of no more use.
    free.pop()?.destroy();
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return device.createBuffer({ size: sizeClass(Math.max(4096, bytes)), usage });
  }

  return {
    encode(encoder, wanted) {
      const staging = take(wanted.reduce((sum, { values }) => sum + values.byteLength, 0));
      let at = 0;
      for (const { from, values } of wanted) {
        if (values.byteLength === 0) continue;
        encoder.copyBufferToBuffer(from.buffer, 0, staging, at, values.byteLength);
        at += values.byteLength;
      }
      return staging;
    },
    async finish(staging, wanted) {
      await staging.mapAsync(GPUMapMode.READ);
      const bytes = staging.getMappedRange();
      let at = 0;
      for (const { values } of wanted) {
        const copy = values instanceof Float32Array
          ? new Float32Array(bytes, at, values.length)
          : new Int32Array(bytes, at, values.length);
        values.set(copy);
        at += values.byteLength;
      }
      staging.unmap();
      free.push(staging);
    },
  };
}
