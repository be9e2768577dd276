// `deno task doctor`: what this machine offers, what its GPU driver does that it does not say, how fast it is now, and
// what to make of it.
import { type CommandLine, runTask, wholeNumberOf } from "../cli/options.ts";
import { ratesText, type Survey } from "../cpu/blas/measurement.ts";
import { advise } from "./doctor/advice.ts";
import { examine, type Findings } from "./doctor/findings.ts";

/** Its command line. */
export const line: CommandLine = {
  task: "doctor",
  about: "Looks at this machine and says what to make of it.",
  options: {
    seconds: { about: "how long the speed reading takes, 0 to leave it out", value: "N", default: "10" },
    json: { about: "everything as one object" },
  },
};

/** Features that computing can use; --json lists all. */
const OF_USE = ["shader-f16", "subgroups", "timestamp-query"];

const yes = (value: boolean) => value ? "yes" : "no";
const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** Every library with its products a second, each under a line of its own name. */
function librariesText({ measured, refused, own, notKept }: Survey): string[] {
  const lines = ["", "Libraries that multiply, one thread each"];
  const fact = (name: string, value: string) => lines.push(`  ${name.padEnd(34)}${value}`);
  if (own !== null) fact("OPENBLAS_CORETYPE, set by you", own);
  for (const each of measured) {
    const told = each.told === null ? "" : `, told to be ${each.told}`;
    const products = each.wrong === null ? ratesText({ rates: each }) : `wrong products: ${each.wrong}`;
    fact(each.name.slice(0, 33), `${products}${told} (${each.library})`);
  }
  for (const { library, why } of refused) fact("cannot be used", `${library}: ${why}`);
  if (notKept !== null) fact("figures are not kept", notKept);
  return lines.length > 2 ? lines : [];
}

/** Lines of name and value under headings. */
function page({ system, cpu, blas, libraries, adapters, quirks, speed }: Findings): string {
  const lines: string[] = [];
  const heading = (text: string) => lines.push("", text);
  const fact = (name: string, value: string) => lines.push(`  ${name.padEnd(34)}${value}`);
  heading(`Deno ${system.deno} on ${system.os} ${system.arch}`);
  fact("processor", cpu.name);
  fact("logical cores", String(cpu.cores));
  fact("memory", gibibytes(cpu.memoryBytes));
  fact("relaxed SIMD", yes(cpu.relaxedSimd));
  fact("shared memory", yes(cpu.sharedMemory));
  fact("BLAS that auto takes", "why" in blas ? `none: ${blas.why}` : `${blas.name} (${blas.library})`);
  if (!("why" in libraries)) lines.push(...librariesText(libraries));
  for (const { name, software, limits, features } of adapters) {
    heading(`WebGPU adapter: ${name}${software ? " (computes on the CPU)" : ""}`);
    for (const [limit, value] of Object.entries(limits)) fact(limit, String(value));
    fact("features of use", OF_USE.filter((name) => features.includes(name)).join(", ") || "none");
  }
  if (adapters.length === 0) heading("WebGPU adapter: none");
  if (quirks && !("problem" in quirks)) {
    heading(`Tried on ${adapters[0].name}`);
    fact("fused multiply-add", yes(quirks.fusedMultiplyAdd));
    fact("loops end after", quirks.loopStopsAfter === null ? "never" : `${quirks.loopStopsAfter} trips`);
    fact("half precision", quirks.halfRight === null ? "not offered" : quirks.halfRight ? "right" : "wrong");
    fact("timestamps", quirks.timestamps ? "seconds by kernel can be had" : "none that can be trusted");
    fact("reading back", `${(1e3 * quirks.readBackSeconds).toFixed(1)} ms`);
    fact("one more dispatch", `${(1e6 * quirks.dispatchSeconds).toFixed(0)} us`);
  }
  if (speed.length > 0) heading("Speed, one reading");
  for (const { about, unit, perSecond, tile } of speed) {
    const how = tile === undefined ? "" : `, register tile ${tile}`;
    fact(about, `${(perSecond / 1e9).toFixed(1)} ${unit === "flop" ? "GFLOP/s" : "GB/s"}${how}`);
  }
  return lines.join("\n");
}

if (import.meta.main) {
  await runTask(line, async (words) => {
    const findings = await examine(wholeNumberOf(words, "seconds", 0, 600) ?? 10);
    const advice = advise(findings);
    if (words.flags.json) console.log(JSON.stringify({ ...findings, advice }, null, 1));
    else {
      console.log(page(findings));
      console.log(`\nAdvice\n${advice.map((sentence) => `  - ${sentence}`).join("\n")}`);
    }
  });
}
