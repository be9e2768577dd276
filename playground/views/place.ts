// What runs compute on here, and why not on more.
/// <reference lib="dom" />
import type { Run } from "../run/run.ts";

/** What this browser offers, a sentence each. */
export function offers(): string[] {
  const { hardwareConcurrency: cores } = navigator;
  const threads = globalThis.crossOriginIsolated
    ? `Threads: this page may use them, and the machine has ${cores} logical cores.`
    : location.protocol === "file:"
    ? "Threads: one. A page from a disk cannot share memory between threads; deno task playground serves one that can."
    : "Threads: one. The page is not cross-origin isolated: its server does not send the headers " +
      "Cross-Origin-Opener-Policy (COOP) and Cross-Origin-Embedder-Policy (COEP), and no service worker adds them " +
      "here, so memory cannot be shared.";
  const gpu = "gpu" in navigator && navigator.gpu
    ? "WebGPU: this browser has it; it is used only where you choose it."
    : globalThis.isSecureContext
    ? "WebGPU: this browser does not offer it."
    : "WebGPU: not offered, since the page does not come from https or localhost.";
  return [threads, gpu];
}

/** The same, with what runs say. */
export function placeLines(runs: readonly Run[]): string[] {
  const said = runs.flatMap(({ device, notes, start }) =>
    device === "" ? [] : [`${start.names.label}: ${device}.`, ...notes.map((note) => `${note}.`)]
  );
  return [...offers(), ...said];
}
