// Refuses a model that cannot fit, before any training: better than running out of memory an hour later.
import { stepBytes, weightsOf } from "../models/cost.ts";
import type { ModelSpec } from "../models/spec.ts";
import { rowsOf } from "../models/spec.ts";
import type { Device } from "./device.ts";

/** @throws {RangeError} when a step of T tokens needs more than a device has, or an array is larger than it takes. */
export function checkMemory(
  spec: ModelSpec,
  T: number,
  device: Pick<Device, "about" | "heapBytes" | "largestBytes">,
): void {
  const what = `train with an input of ${rowsOf(spec.input)} rows and width ${spec.D}`;
  const { least, largest } = stepBytes(spec, T);
  if (least > device.heapBytes) {
    throw new RangeError(
      `Cannot ${what}: a step needs at least ${gibibytes(least)} and the CPU backend's heap ends at ${
        gibibytes(device.heapBytes)
      }`,
    );
  }
  if (largest > device.largestBytes) {
    throw new RangeError(
      `Cannot ${what}: its largest array takes ${gibibytes(largest)}, ${device.about} takes ` +
        `${gibibytes(device.largestBytes)} an array`,
    );
  }
}

/** Bytes of one checkpoint: weights and two moments, routers' own left out. */
export function checkpointBytes(spec: ModelSpec): number {
  return 12 * weightsOf(spec).total;
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
