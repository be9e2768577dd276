// Which GPU: a hardware adapter when there is one, the limits its programs need, and what it says about itself.

/** What is known of an adapter before it is opened. */
export interface AdapterFacts {
  /** As drivers call it, such as "llvmpipe (LLVM 15.0.6, 256 bits)"; in browsers that hide it, such as "nvidia ampere". */
  readonly name: string;
  /** True when it computes on the CPU: for tests, never for speed. */
  readonly software: boolean;
}

/** Which adapter to take. */
export interface AdapterChoice {
  /** `"hardware"` refuses adapters that compute on the CPU. Default `"any"`, hardware first. */
  readonly adapter?: "any" | "hardware";
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|softpipe|microsoft basic render|warp/i;

/** What every WebGPU adapter gives and every program keeps to. */
const NEEDED = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16384,
} as const;

/** Browsers leave out what could tell one user from another: most give a vendor and an architecture, and no more. */
function factsOf(adapter: GPUAdapter): AdapterFacts {
  const { description, vendor, architecture, device, isFallbackAdapter } = adapter.info;
  const words = [vendor, architecture, device].filter((word) => word);
  const name = description || words.join(" ") || "unnamed adapter";
  return { name, software: isFallbackAdapter === true || SOFTWARE.test(name) };
}

/** The best adapter there is, or null. @param wish What to ask the system for, instead of the best. */
export async function findAdapter(
  choice: AdapterChoice = {},
  wish: GPURequestAdapterOptions = { powerPreference: "high-performance" },
): Promise<{ adapter: GPUAdapter; facts: AdapterFacts } | null> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter(wish);
  if (!adapter) return null;
  const facts = factsOf(adapter);
  return choice.adapter === "hardware" && facts.software ? null : { adapter, facts };
}

/**
 * What the best adapter is, without opening it; null when there is none.
 *
 * @example
 * ```ts
 * import { adapterFacts } from "@switchyard/moe";
 * import { assert } from "@std/assert";
 * const adapter = await adapterFacts();
 * assert(adapter === null || adapter.name.length > 0);
 * ```
 */
export async function adapterFacts(): Promise<AdapterFacts | null> {
  return (await findAdapter())?.facts ?? null;
}

/** An opened adapter. */
export interface OpenDevice {
  readonly device: GPUDevice;
  readonly facts: AdapterFacts;
  /** Largest array in bytes. */
  readonly largestBytes: number;
}

/**
 * Opens the best adapter with the limits programs need and the largest arrays it offers.
 * @throws {Error} when there is no adapter, or it offers too little.
 */
export async function openDevice(choice: AdapterChoice): Promise<OpenDevice> {
  const found = await findAdapter(choice);
  if (!found) throw new Error(`Cannot open WebGPU: ${whyNone(choice)}`);
  const { adapter, facts } = found;
  for (const [name, least] of Object.entries(NEEDED)) {
    const offered = adapter.limits[name as keyof typeof NEEDED];
    if (offered < least) {
      throw new Error(`Cannot open WebGPU on ${facts.name}: ${name} is ${offered}, programs need ${least}`);
    }
  }
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredFeatures: adapter.features.has("timestamp-query") ? ["timestamp-query"] : [],
    requiredLimits: { ...NEEDED, maxStorageBufferBindingSize, maxBufferSize },
  });
  // Bindings end on whole words, and some adapters offer one byte less than a power of two.
  const largestBytes = 256 * Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 256);
  return { device, facts, largestBytes };
}

/** Why there is no adapter and what to do, in words for where this runs. */
function whyNone(choice: AdapterChoice): string {
  const kind = choice.adapter === "hardware" ? "hardware adapter" : "adapter";
  const { navigator, isSecureContext } = globalThis as { navigator?: Navigator; isSecureContext?: boolean };
  if (!navigator?.userAgent?.startsWith("Mozilla/")) {
    return `there is no ${kind}. On Linux a Vulkan driver must be installed (a GPU's own, or mesa-vulkan-drivers to ` +
      "compute on the CPU); --device cpu needs none";
  }
  const without = "cpu() needs none";
  if (isSecureContext === false) {
    return `browsers offer it only to pages from https or localhost, and this page is from neither; ${without}`;
  }
  if (!navigator.gpu) return `this browser does not offer it; ${without}`;
  return `this browser offers no ${kind}: graphics acceleration may be off in its settings, or it does not trust the ` +
    `GPU's driver (chrome://gpu and about:support say more); ${without}`;
}
