// What a doctor's findings mean for whoever trains here, in plain sentences.
import { coresToTry } from "../../cpu/blas/cores.ts";
import type { Measurement } from "../../cpu/blas/measurement.ts";
import type { Findings } from "./findings.ts";

const NONE =
  "There is no WebGPU adapter; nothing needs one. On Linux a Vulkan driver gives one (the GPU's own, or " +
  "mesa-vulkan-drivers to compute on the CPU).";

/** Sentences, most important first. */
export function advise(findings: Findings): string[] {
  return [...aboutCpu(findings), ...aboutBlas(findings), ...aboutGpu(findings)];
}

function rate({ speed }: Findings, about: string): number | null {
  return speed.find((reading) => reading.about.startsWith(about))?.perSecond ?? null;
}

function aboutCpu(findings: Findings): string[] {
  const { cores, relaxedSimd, sharedMemory } = findings.cpu;
  const said: string[] = [];
  if (!sharedMemory) said.push("SharedArrayBuffer is missing, so the CPU backend computes on one thread.");
  if (!relaxedSimd) {
    said.push("Relaxed SIMD is missing, so multiply and add are two roundings and products are slower.");
  }
  const [one, all] = [rate(findings, "product, CPU, 1 "), rate(findings, `product, CPU, ${cores} `)];
  if (one !== null && all !== null && cores > 1 && all / one < 0.6 * cores) {
    said.push(
      `${cores} threads multiply only ${
        (all / one).toFixed(1)
      } times as fast as one: cores are shared or busy. Results ` +
        "do not depend on --threads, timings do.",
    );
  }
  return said;
}

function aboutBlas(findings: Findings): string[] {
  const { blas, cpu, libraries } = findings;
  if ("why" in blas) {
    const advice = blas.opened || "why" in libraries
      ? ""
      : " One that is native: deno cache --no-lock npm:onnxruntime-node, or Debian's libopenblas0-pthread.";
    return [
      `No BLAS is taken by --blas auto: ${blas.why}. The WebAssembly kernels need none.${advice}`,
      ...aboutCores(findings),
    ];
  }
  const [own, theirs] = [
    rate(findings, `product, CPU, ${cpu.cores} `),
    rate(findings, "product, BLAS"),
  ];
  const faster = own === null || theirs === null
    ? ""
    : `, ${(theirs / own).toFixed(1)} times the WebAssembly kernels' speed here`;
  return [
    `--blas auto takes products to ${blas.name}${faster}; the last bits of results then depend on it.`,
    ...aboutCores(findings),
  ];
}

/** OpenBLAS's loops, where they are narrower than the processor, or were. */
function aboutCores({ libraries }: Findings): string[] {
  if ("why" in libraries) return [`BLAS libraries could not be measured: ${libraries.why}.`];
  const { measured, own, processor } = libraries;
  const gigaflop = ({ flopPerSecond }: Measurement) => (flopPerSecond / 1e9).toFixed(0);
  const said: string[] = [];
  for (const each of measured) {
    const { name, library, core, told } = each;
    const [wider] = coresToTry(core, processor.flags);
    if (own !== null && wider !== undefined) {
      said.push(
        `OPENBLAS_CORETYPE=${own} is set, so ${library} computes as ${core} (${
          gigaflop(each)
        } GFLOP/s a core) on a ` +
          `processor that can do ${wider}: unset it to have the faster one chosen.`,
      );
    }
    const itself = measured.find((one) => one.library === library && one.told === null);
    if (told !== null && itself) {
      said.push(
        `${library} by itself takes ${itself.core} here (${
          gigaflop(itself)
        } GFLOP/s a core); told to be ${told}, it is ` +
          `${name} (${gigaflop(each)}${
            each.wrong === null ? "" : ", but wrong"
          }). For programs other than this one: ` +
          `OPENBLAS_CORETYPE=${told}.`,
      );
    }
  }
  return said;
}

function aboutGpu(findings: Findings): string[] {
  const { adapters: [best], quirks } = findings;
  if (!best) return [NONE];
  if ("problem" in quirks!) return [`WebGPU cannot be used here: ${quirks.problem}.`];
  const { loopStopsAfter, halfRight, readBackSeconds } = quirks!;
  const said: string[] = [];
  const [cpu, gpu] = [
    rate(findings, `product, CPU, ${findings.cpu.cores} `),
    rate(findings, "product, WebGPU"),
  ];
  const ratio = cpu !== null && gpu !== null ? gpu / cpu : null;
  if (best.software) {
    const slower = ratio === null
      ? ""
      : ` (its products run at ${ratio.toFixed(2)} of the CPU backend's speed)`;
    said.push(`${best.name} computes on the CPU${slower}: use it for tests, and --device cpu for training.`);
  } else if (ratio !== null && ratio < 1) {
    said.push(
      `Products on ${best.name} are slower than on the CPU here: choose --device by the time of a step.`,
    );
  } else said.push(`${best.name} is what --device auto and --device webgpu take.`);
  if (loopStopsAfter !== null) {
    said.push(
      `The driver ends a loop after ${loopStopsAfter} trips without a word; long sums here are cut for it, a kernel ` +
        "of your own must be too.",
    );
  }
  if (halfRight === false) {
    said.push(
      "The driver's own f16 is wrong. --precision half does not use it; a kernel of your own must not.",
    );
  }
  if (readBackSeconds > 0.005) {
    said.push(
      `Reading anything back takes at least ${
        (1000 * readBackSeconds).toFixed(1)
      } ms: ask for all values of a step ` +
        "together, as training does.",
    );
  }
  return said;
}
