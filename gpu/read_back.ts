// Reading arrays back: all reads called before the program next waits share one buffer, one submit and one map, because
// waiting for a map costs the same for one number as for many arrays (11 ms in Deno).
import { bytesPerElement, type DType, type HostArray } from "../kernels/kernel.ts";
import { type Block, sizeClass } from "./pool.ts";

/** A copy that was asked for. */
export interface Wanted {
  readonly from: Block;
  readonly dtype: DType;
  /** f16 is widened to f32. */
  readonly values: HostArray;
}

/** Reads of one device. */
export interface ReadBack {
  /** Encodes copies into a buffer for the host. */
  encode(encoder: GPUCommandEncoder, wanted: readonly Wanted[]): GPUBuffer;
  /** Fills the values once the submit that holds the copies is done. */
  finish(staging: GPUBuffer, wanted: readonly Wanted[]): Promise<void>;
}

/** Bytes to copy: whole words, of which an odd number of f16 leaves half of the last one unused. */
function bytesOf({ dtype, values }: Wanted): number {
  return 4 * Math.ceil(bytesPerElement(dtype) * values.length / 4);
}

function stagedBytes(wanted: readonly Wanted[]): number {
  return wanted.reduce((sum, each) => sum + bytesOf(each), 0);
}

function viewOf(bytes: ArrayBuffer, at: number, { dtype, values: { length } }: Wanted) {
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes, at, length);
    case "i32":
      return new Int32Array(bytes, at, length);
    case "f16":
      return new Float16Array(bytes, at, length);
    default:
      return dtype satisfies never;
  }
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
      const staging = take(stagedBytes(wanted));
      let at = 0;
      for (const each of wanted) {
        const bytes = bytesOf(each);
        if (bytes === 0) continue;
        encoder.copyBufferToBuffer(each.from.buffer, 0, staging, at, bytes);
        at += bytes;
      }
      return staging;
    },
    async finish(staging, wanted) {
      // Only what was copied: the buffer may once have been made for far more, and Deno copies all that is mapped.
      const size = Math.max(4, stagedBytes(wanted));
      await staging.mapAsync(GPUMapMode.READ, 0, size);
      const bytes = staging.getMappedRange(0, size);
      let at = 0;
      for (const each of wanted) {
        each.values.set(viewOf(bytes, at, each));
        at += bytesOf(each);
      }
      staging.unmap();
      free.push(staging);
    },
  };
}
