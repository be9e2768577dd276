// Where figures come from, in words: what of a machine, a runtime and a checkout decides a ratio.
import { cpus } from "node:os";
import { hasRelaxedSimd } from "../cpu/module.ts";

/** `2 x AMD EPYC, linux x86_64`: machines of one class give comparable ratios. */
export function machineClass(): string {
  const model = cpus()[0]?.model.replace(/\s+/g, " ").trim();
  return `${navigator.hardwareConcurrency} x ${
    model || "unknown processor"
  }, ${Deno.build.os} ${Deno.build.arch}`;
}

/** The same with the runtime, as shown above tables. */
export function machineText(): string {
  return `${machineClass()}, Deno ${Deno.version.deno}, ${hasRelaxedSimd() ? "" : "no "}fused multiply-add`;
}
