// Compiles every kernels/*/cpu.as.ts into WebAssembly modules and embeds them in files of cpu/wasm/, so that no consumer
// needs file or network permission, and each loads the one module that its engine runs: with relaxed multiply-add, or with
// plain SIMD. Either runs on shared memory or not; one byte, the kind of memory it imports, is all that differs.
import asc from "assemblyscript/asc";
import { gzipSync } from "node:zlib";
import { SHARED_LIMITS } from "../cpu/module.ts";
import { type CommandLine, runTask } from "../cli/options.ts";

const HEADER = "// Written by `deno task build:wasm` from kernels/*/cpu.as.ts. Do not edit.\n";

export const variants = ["relaxed", "plain"] as const;
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

/** Compiles one variant and returns the module's bytes; `shared` is about the memory that it imports. */
export async function compile(root: URL, variant: Variant, shared: boolean): Promise<Uint8Array> {
  const virtual: Record<string, string> = {
    "cpu/entry.as.ts": `export { attach, run, work, quit } from "./fork_join.as";\n` +
      `export function heapBase(): usize { return __heap_base; }\n`,
    "cpu/dispatch.as.ts": dispatchSource(programNames(root)),
  };
  const features = variant === "relaxed" ? "simd,relaxed-simd,threads" : "simd,threads";
  const memory = [
    ...(shared ? ["--sharedMemory"] : []),
    ...["--initialMemory", "64", "--maximumMemory", "65536"],
  ];
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

/**
 * Where a module on memory that is not shared says so.
 * @throws {Error} when anything else differs from the module on shared memory.
 */
export function limitsPlace(single: Uint8Array, shared: Uint8Array): number {
  const at = single.findIndex((byte, place) => byte !== shared[place]);
  const rest = (bytes: Uint8Array) => bytes.subarray(at + 1).join();
  if (single.length !== shared.length || shared[at] !== SHARED_LIMITS || rest(single) !== rest(shared)) {
    throw new Error(
      "Cannot keep one module for both kinds of memory: they differ in more than the memory they import",
    );
  }
  return at;
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
  text +=
    "\n/** A module, gzipped, as base64; and which of its bytes says that its memory is not shared. */\n";
  text += "export interface PackedModule {\n  readonly default: string;\n  readonly limitsAt: number;\n}\n";
  text += "\n/** Loads a module. */\n";
  text += "export const modules: Readonly<Record<string, () => Promise<PackedModule>>> = {\n";
  for (const variant of variants) {
    const binary = await compile(root, variant, false);
    console.log(`${variant}: ${binary.length} bytes`);
    const limitsAt = limitsPlace(binary, await compile(root, variant, true));
    const packed = base64(gzipSync(binary, { level: 9 }));
    Deno.writeTextFileSync(
      new URL(`cpu/wasm/${variant}.ts`, root),
      `${HEADER}export const limitsAt = ${limitsAt};\nexport default "${packed}";\n`,
    );
    text += `  ${variant}: () => import("./wasm/${variant}.ts"),\n`;
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
