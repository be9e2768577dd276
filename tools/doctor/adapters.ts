// What WebGPU adapters this machine offers, and what the best of them does that it does not say: the quirks that
// programs here must live with.
import { findAdapter, openDevice } from "../../gpu/adapter.ts";
import { webgpu } from "../../gpu/backend.ts";
import { fusesMultiplyAdd, runProbe } from "../../gpu/probe.ts";
import { affine } from "../../kernels/mod.ts";
import half from "./half.wgsl" with { type: "text" };
import loopTrips from "./loop_trips.wgsl" with { type: "text" };

/** More trips than any program here makes in one loop. */
const TRIPS = 1_000_000;

/** Limits that decide what programs and arrays are possible. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "minStorageBufferOffsetAlignment",
] as const;

/** What an adapter says of itself. */
export interface AdapterReport {
  readonly name: string;
  /** True when it computes on the CPU. */
  readonly software: boolean;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: readonly string[];
}

/** What was found out by trying. */
export interface Quirks {
  readonly fusedMultiplyAdd: boolean;
  /** Trips after which a loop stops without a word; null when it made all that were asked for. */
  readonly loopStopsAfter: number | null;
  /** Half precision: whether products come out right; null where it is not offered. */
  readonly halfRight: boolean | null;
  /** Whether seconds by kernel can be had, and are seconds. */
  readonly timestamps: boolean;
  /** Seconds to read 4 bytes while nothing is queued. */
  readonly readBackSeconds: number;
  /** Seconds that one more small dispatch takes in a long queue. */
  readonly dispatchSeconds: number;
}

/** Adapters by name; WebGPU gives one for each wish, and often the same. */
export async function listAdapters(): Promise<AdapterReport[]> {
  const wishes: GPURequestAdapterOptions[] = [
    { powerPreference: "high-performance" },
    { powerPreference: "low-power" },
    { forceFallbackAdapter: true },
  ];
  const found = new Map<string, AdapterReport>();
  for (const wish of wishes) {
    const one = await findAdapter({}, wish);
    if (!one || found.has(one.facts.name)) continue;
    const { adapter, facts } = one;
    found.set(facts.name, {
      ...facts,
      limits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
      features: [...adapter.features].sort(),
    });
  }
  return [...found.values()];
}

/** Tries the best adapter; null when there is none. */
export async function tryQuirks(): Promise<Quirks | null> {
  if (!await findAdapter()) return null;
  const { device } = await openDevice({});
  const fusedMultiplyAdd = await fusesMultiplyAdd(device);
  const loopStopsAfter = await tryLoop(device);
  device.destroy();
  return {
    fusedMultiplyAdd,
    loopStopsAfter,
    halfRight: await tryHalf(),
    ...await tryQueue(),
  };
}

/** Follows the program's generator until it is in the state that the program ended in. */
async function tryLoop(device: GPUDevice): Promise<number | null> {
  const [, ended] = new Uint32Array(await runProbe(device, loopTrips, Uint32Array.of(TRIPS, 1)));
  let state = 1;
  let trips = 0;
  for (; trips < TRIPS && state !== ended; trips++) state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return trips === TRIPS ? null : trips;
}

/** Products of halves: either neighbour of the exact product will do, as WGSL has it. */
async function tryHalf(): Promise<boolean | null> {
  const { adapter } = (await findAdapter())!;
  if (!adapter.features.has("shader-f16")) return null;
  const device = await adapter.requestDevice({ requiredFeatures: ["shader-f16"] });
  const factor = (at: number) =>
    (at % 2 === 0 ? 1 : -1) * (1 + ((at * 397) % 1024) / 1024) * 2 ** (at % 7 - 3);
  const given = Float32Array.from({ length: 48 }, (_, at) => at < 32 ? factor(at) : 0);
  const found = new Float32Array(await runProbe(device, half, given));
  device.destroy();
  return given.subarray(0, 16).every((a, at) => {
    const exact = a * given[16 + at];
    const step = 2 ** (Math.floor(Math.log2(Math.abs(exact))) - 10);
    return Math.abs(found[32 + at] - exact) < step;
  });
}

async function tryQueue(): Promise<Pick<Quirks, "timestamps" | "readBackSeconds" | "dispatchSeconds">> {
  const backend = await webgpu();
  const x = backend.upload(Float32Array.of(1), [1]);
  const seconds = async (dispatches: number) => {
    const start = performance.now();
    for (let at = 0; at < dispatches; at++) backend.free(backend.run(affine, [x], { scale: 1, shift: 0 })[0]);
    await backend.read(x);
    return (performance.now() - start) / 1000;
  };
  await seconds(1);
  const readBackSeconds = Math.min(await seconds(0), await seconds(0), await seconds(0));
  const dispatches = 500;
  const dispatchSeconds = Math.max(0, await seconds(dispatches) - readBackSeconds) / dispatches;
  backend.close();
  return { timestamps: await tryTimestamps(), readBackSeconds, dispatchSeconds };
}

async function tryTimestamps(): Promise<boolean> {
  const backend = await webgpu({ profile: true });
  const start = performance.now();
  const [y] = backend.run(affine, [backend.upload(new Float32Array(1 << 20), [1 << 20])], {
    scale: 1,
    shift: 0,
  });
  await backend.read(y);
  const wall = (performance.now() - start) / 1000;
  const { affine: found } = backend.statistics().kernelSeconds;
  backend.close();
  return found > 0 && found <= wall;
}
