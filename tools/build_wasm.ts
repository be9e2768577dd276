// Compiles every kernels/*/cpu.as.ts into WebAssembly modules and embeds them in files of cpu/wasm/, so that no consumer
// needs file or network permission, and each loads the one module that its engine runs. Four modules: with relaxed multiply-add or plain SIMD, on shared memory or not.
import asc from "assemblyscript/asc";
import { gzipSync } from "node:zlib";
import { type CommandLine, runTask } from "../cli/options.ts";

const HEADER = "// Written by `deno task build:wasm` from kernels/*/cpu.as.ts. Do not edit.\n";

export const variants = ["relaxedShared", "plainShared", "relaxedSingle", "plainSingle"] as const;
export type Variant = typeof variants[number];

/** Names of exported programs, in the order of their numbers. */
export function programNames(root: URL): string[] {
  const names: string[] = [];
  for (const entry of Deno.readDirSync(new URL("kernels/", root))) {
    if (!entry.isDirectory) continue;
    const source = readText(new URL(`kernels/${entry.name}/cpu.as.ts`, root));
    if (source === null) continue; // Runs on WebGPU alone.
    const found = source.match(/^export function (\w+)\(from: i32, to: i32, list: usize\): void/m);
    if (!found) {
      throw new Error(`Cannot build kernels/${entry.name}: cpu.as.ts exports no (from, to, list) function`);
    }
    names.push(`${found[1]} ${entry.name}`);
  }
  return names.sort();
}

function dispatchSource(programs: readonly string[]): string {
  const imports = programs.map((program) => {
    const [name, folder] = program.split(" ");
    return `import { ${name} } from "../kernels/${folder}/cpu.as";`;
  });
  const cases = programs.map((program, at) =>
    `    case ${at}: ${program.split(" ")[0]}(from, to, list); break;`
  );
  return `${imports.join("\n")}\nexport function call(kernel: i32, from: i32, to: i32, list: usize): void {
  switch (kernel) {\n${cases.join("\n")}\n    default: unreachable();\n  }\n}\n`;
}

/** Compiles one variant and returns the module's bytes. */
export async function compile(root: URL, variant: Variant): Promise<Uint8Array> {
  const virtual: Record<string, string> = {
    "cpu/entry.as.ts": `export { attach, run, work, quit } from "./fork_join.as";\n` +
      `export function heapBase(): usize { return __heap_base; }\n`,
    "cpu/dispatch.as.ts": dispatchSource(programNames(root)),
  };
  const features = variant.startsWith("relaxed") ? "simd,relaxed-simd,threads" : "simd,threads";
  const memory = variant.endsWith("Shared")
    ? ["--sharedMemory", "--initialMemory", "64", "--maximumMemory", "65536"]
    : ["--initialMemory", "64", "--maximumMemory", "65536"];
  let binary: Uint8Array | undefined;
  let messages = "";
  const { error } = await asc.main(
    ["cpu/entry.as.ts", "--outFile", "out.wasm", "-O3", "--noAssert", "--runtime", "stub", "--importMemory"]
      .concat(
        ["--enable", features],
        memory,
      ),
    {
      readFile: (name) => virtual[name] ?? readText(new URL(name, root)),
      writeFile: (name, contents) => {
        if (name === "out.wasm") binary = contents as Uint8Array;
      },
      listFiles: () => [],
      stdout: { write: (text) => void (messages += String(text)) },
      stderr: { write: (text) => void (messages += String(text)) },
    },
  );
  if (error || !binary) {
    throw new Error(`Cannot compile the WebAssembly kernels:\n${messages || error?.message}`);
  }
  return binary;
}

function readText(url: URL): string | null {
  try {
    return Deno.readTextFileSync(url);
  } catch {
    return null;
  }
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

async function main(): Promise<void> {
  const root = new URL("../", import.meta.url);
  Deno.mkdirSync(new URL("cpu/wasm/", root), { recursive: true });
  const names = programNames(root).map((program) => program.split(" ")[0]);
  let text = `${HEADER}\n/** Programs of the modules; a program's number is its place here. */\n`;
  text += `export const programs: readonly string[] = ${JSON.stringify(names)};\n`;
  text += "\n/** Loads a module, gzipped, as base64. */\n";
  text += "export const modules: Readonly<Record<string, () => Promise<{ readonly default: string }>>> = {\n";
  for (const variant of variants) {
    const binary = await compile(root, variant);
    console.log(`${variant}: ${binary.length} bytes`);
    const file = `wasm/${variant.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)}.ts`;
    const packed = base64(gzipSync(binary, { level: 9 }));
    Deno.writeTextFileSync(new URL(`cpu/${file}`, root), `${HEADER}export default "${packed}";\n`);
    text += `  ${variant}: () => import("./${file}"),\n`;
  }
  Deno.writeTextFileSync(new URL("cpu/wasm.ts", root), text + "};\n");
}

/** Its command line. */
export const line: CommandLine = {
  task: "build:wasm",
  about: "Compiles the kernels into cpu/wasm.ts and cpu/wasm/.",
  options: {},
};

if (import.meta.main) await runTask(line, main);
