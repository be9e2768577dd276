// Every kernel of a training step: how often it runs, its share of the time all kernels take, and how far it is from the
// machine's limits. Steps are watched for this, which costs them a little; whole steps are timed unwatched.
import { bytesOf } from "../kernels/kernel.ts";
import type { Device } from "./devices.ts";
import { leastSeconds, type Roof } from "./roofs/roof.ts";
import { type StepSubject, trainSteps, WARM_UP } from "./step.ts";
import { costOf, watched } from "./watched.ts";

/** Sums of one kernel over a step. */
export interface KernelUse {
  calls: number;
  seconds: number;
  flop: number;
  bytes: number;
  /** Seconds all calls take at the machine's limits; 0 where those were not measured. */
  leastSeconds: number;
}

/** What one step runs and takes. */
export interface StepProfile {
  readonly kernels: ReadonlyMap<string, KernelUse>;
  /** Bytes of all arrays made in a step. */
  readonly allocatedBytes: number;
  /** Bytes by which the backend's memory grew over the steps counted. */
  readonly grownBytes: number;
  /** The most bytes of arrays at once, and of memory in all. */
  readonly peakBytes: number;
  readonly heldBytes: number;
}

/**
 * Averages over `counted` steps. Seconds are a device's own where it times its kernels, else those `run` took, which on
 * a GPU only queues; then they are left at 0.
 */
export async function profileStep(
  device: Device,
  subject: StepSubject,
  counted: number,
  roof: Roof | null,
): Promise<StepProfile> {
  const kernels = new Map<string, KernelUse>();
  let allocatedBytes = 0;
  let counting = false;
  const { backend } = device;
  const watching = watched(backend, (call) => {
    if (!counting) return;
    const { flop, bytes } = costOf(call);
    const use = kernels.get(call.kernel.name) ?? { calls: 0, seconds: 0, flop: 0, bytes: 0, leastSeconds: 0 };
    kernels.set(call.kernel.name, use);
    use.calls += 1 / counted;
    use.flop += flop / counted;
    use.bytes += bytes / counted;
    use.leastSeconds += roof ? leastSeconds(roof, { flop, bytes }) / counted : 0;
    if (device.kernelSeconds() === null) use.seconds += call.seconds / counted;
    if (!call.over) allocatedBytes += bytesOf(...call.outputs.map(({ type }) => type)) / counted;
  }, ({ type }) => {
    if (counting) allocatedBytes += bytesOf(type) / counted;
  });
  let heldBefore = 0;
  let kernelsBefore: Readonly<Record<string, number>> = {};
  await trainSteps(watching, subject, WARM_UP + counted, (step) => {
    if (step === WARM_UP - 1) {
      heldBefore = device.heldBytes();
      kernelsBefore = device.kernelSeconds() ?? {};
    }
    if (step === WARM_UP + counted - 1) {
      for (const [name, seconds] of Object.entries(device.kernelSeconds() ?? {})) {
        const use = kernels.get(name);
        if (use) use.seconds = (seconds - (kernelsBefore[name] ?? 0)) / counted;
      }
    }
    counting = step >= WARM_UP - 1 && step < WARM_UP + counted - 1;
  });
  return {
    kernels,
    allocatedBytes,
    grownBytes: device.heldBytes() - heldBefore,
    peakBytes: device.peakBytes(),
    heldBytes: device.heldBytes(),
  };
}
