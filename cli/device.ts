// Where an experiment's arithmetic runs. Hardware is taken only when asked for: records of one command are equal byte
// for byte on one kind of arithmetic and one JavaScript engine, and a default that looks at the machine would make them
// differ by where they ran.
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import { type Blas, type NoBlas, ratesText } from "../cpu/blas/measurement.ts";
import { adapterFacts } from "../gpu/adapter.ts";
import { webgpu } from "../gpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";

const names = ["cpu", "webgpu", "auto"] as const;

/** `auto` is a hardware adapter when there is one, else the CPU. */
export type DeviceName = typeof names[number];

/** An opened device. */
export interface Device {
  readonly backend: Backend & { close(): void };
  /** Threads that compute; the GPU's are not counted. */
  readonly threads: number;
  /** The BLAS that products run on, or why there is none; null where none was asked for. */
  readonly blas: Blas | NoBlas | null;
  /** What it is, and why, in a few words. */
  readonly about: string;
  /** The most an array and all arrays together may take, in bytes. */
  readonly largestBytes: number;
  readonly heapBytes: number;
}

/** @throws {RangeError} when there is no device of that name. */
export function findDevice(name: string): DeviceName {
  const found = names.find((each) => each === name);
  if (found) return found;
  throw new RangeError(`Cannot use --device ${name}: there are ${names.join(", ")}`);
}

/** What a command says about the CPU. */
export interface CpuChoice {
  readonly threads: number | null;
  readonly blas: string;
}

/** Opens a device. @throws {Error} when WebGPU is asked for and there is no adapter, or a BLAS that cannot be used. */
export async function openDevice(name: DeviceName, { threads, blas }: CpuChoice): Promise<Device> {
  const adapter = name === "auto" ? await adapterFacts() : null;
  const why = name === "auto" && (adapter === null || adapter.software)
    ? ` (no GPU found${adapter ? `: ${adapter.name} computes on the CPU` : ""})`
    : "";
  if (name === "webgpu" || (adapter !== null && !adapter.software)) {
    const backend = await webgpu();
    const { arithmetic, largestBytes } = backend;
    const about = `WebGPU on ${arithmetic.device}${backend.software ? ", which computes on the CPU" : ""}`;
    const unused = blas === "off" ? "" : ` (not on BLAS ${blas}, which computes on the CPU)`;
    return {
      backend,
      threads: 1,
      blas: null,
      about: about + multiplyAdd(backend) + unused,
      largestBytes,
      heapBytes: Infinity,
    };
  }
  const backend = await cpu({ blas, ...(threads === null ? {} : { threads }) });
  const counted = `${backend.threads} thread${backend.threads === 1 ? "" : "s"}`;
  const notes = backend.notes.map((note) => ` (${note})`).join("");
  return {
    backend,
    threads: backend.threads,
    blas: backend.blas,
    about: `the CPU with ${counted}${multiplyAdd(backend)}${blasOf(backend)}${notes}${why}`,
    largestBytes: backend.heapBytes,
    heapBytes: backend.heapBytes,
  };
}

function multiplyAdd({ arithmetic }: Backend): string {
  return arithmetic.fusedMultiplyAdd ? ", fused multiply-add" : "";
}

function blasOf({ arithmetic, blas }: CpuBackend): string {
  const rates = blas && !("why" in blas) ? ` (${ratesText(blas)})` : "";
  return arithmetic.blas === undefined ? "" : `, BLAS: ${arithmetic.blas}${rates}`;
}
