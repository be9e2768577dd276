// Where libraries that multiply lie: what the system's loader knows, folders it is told of, and Python environments, whose
// NumPy and SciPy bring an OpenBLAS of their own, newer than the system's as a rule.

/** The folder where programs keep what they can make again; null where the user has none. */
export function userCache(): string | null {
  const home = Deno.env.get("HOME");
  const asked = Deno.env.get("XDG_CACHE_HOME");
  if (asked) return asked;
  if (Deno.build.os === "windows") return Deno.env.get("LOCALAPPDATA") ?? null;
  if (home === undefined) return null;
  return Deno.build.os === "darwin" ? `${home}/Library/Caches` : `${home}/.cache`;
}

/** Kinds of libraries, in the order they are to be preferred where they are equally fast. */
const KINDS = [
  "libopenblasp",
  "libopenblas",
  "openblas",
  "libmkl_rt",
  "mkl_rt",
  "libdnnl",
  "dnnl",
  "libblis",
  "libscipy_openblas",
  "libonnxruntime",
  "onnxruntime",
];
const FILE = new RegExp(`^(${KINDS.join("|")})(?!_providers)[\\w.-]*\\.(so(\\.\\d+)*|dylib|dll)$`);

/** Folders and files by system that loaders do not list. */
const FIXED: Readonly<
  Record<string, { readonly folders: readonly string[]; readonly files: readonly string[] }>
> = {
  darwin: {
    folders: ["/opt/homebrew/opt/openblas/lib", "/usr/local/opt/openblas/lib"],
    files: ["/System/Library/Frameworks/Accelerate.framework/Accelerate"],
  },
};

/** Paths of libraries, each file once, preferred kinds first. */
export async function places(): Promise<string[]> {
  const { os } = Deno.build;
  const { folders = [], files = [] } = FIXED[os] ?? {};
  const variable = os === "windows" ? "PATH" : os === "darwin" ? "DYLD_LIBRARY_PATH" : "LD_LIBRARY_PATH";
  const told = foldersOf(variable);
  const found = [...told, ...folders].flatMap(librariesIn);
  found.push(
    ...(os === "linux" ? await knownToLoader() : []),
    ...pythonPrefixes().flatMap(librariesOfPython),
    ...librariesOfNpm(),
  );
  const ranked = found.map((path) => ({
    path,
    rank: KINDS.findIndex((kind) => nameOf(path).startsWith(kind)),
  }));
  const sorted = ranked.sort((a, b) => a.rank - b.rank).map(({ path }) => path);
  return [...files, ...onlyOnce(sorted)];
}

function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

function foldersOf(variable: string): string[] {
  const separator = Deno.build.os === "windows" ? ";" : ":";
  return (Deno.env.get(variable) ?? "").split(separator).filter((folder) => folder !== "");
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  } catch {
    return []; // Not there, or not ours to read.
  }
}

function librariesIn(folder: string): string[] {
  return namesIn(folder).filter((name) => FILE.test(name)).map((name) => `${folder}/${name}`);
}

/** A file goes by several names: the first one stays. */
function onlyOnce(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  return paths.filter((path) => {
    try {
      const file = Deno.realPathSync(path);
      return !seen.has(file) && seen.add(file);
    } catch {
      return false; // A name whose file is gone.
    }
  });
}

/** What ldconfig lists: `libopenblas.so.0 (libc6,x86-64) => /lib/x86_64-linux-gnu/libopenblas.so.0`. */
async function knownToLoader(): Promise<string[]> {
  const command = new Deno.Command("/sbin/ldconfig", { args: ["-p"], stdin: "null", stderr: "null" });
  const listed = await command.output().then(({ stdout }) => new TextDecoder().decode(stdout), () => "");
  return [...listed.matchAll(/=> (\/.*)$/gm)].map(([, path]) => path).filter((path) =>
    FILE.test(nameOf(path))
  );
}

/** Environments that are active, and those of the interpreters that a shell would find. */
function pythonPrefixes(): string[] {
  const windows = Deno.build.os === "windows";
  const active = ["VIRTUAL_ENV", "CONDA_PREFIX"].flatMap((variable) => Deno.env.get(variable) ?? []);
  const interpreter = windows ? "python.exe" : "python3";
  const onPath = foldersOf("PATH").filter((folder) => namesIn(folder).includes(interpreter));
  const home = Deno.env.get("HOME");
  return [
    ...new Set([
      ...active,
      ...onPath.map((folder) => windows ? folder : folder.replace(/\/[^/]*\/?$/, "")),
      ...(home === undefined ? [] : [`${home}/.local`]),
    ]),
  ];
}

function librariesOfPython(prefix: string): string[] {
  const ofVersions = namesIn(`${prefix}/lib`).filter((name) => /^python3/.test(name))
    .map((name) => `${prefix}/lib/${name}`);
  const packages = [...ofVersions, `${prefix}/Lib`]
    .flatMap((folder) => [`${folder}/site-packages`, `${folder}/dist-packages`]);
  const own = packages.flatMap((folder) =>
    ["numpy.libs", "numpy/.dylibs", "scipy.libs", "scipy/.dylibs", "onnxruntime/capi"]
      .map((name) => `${folder}/${name}`)
  );
  return [`${prefix}/lib`, `${prefix}/Library/bin`, ...own].flatMap(librariesIn);
}

/** The npm package onnxruntime-node: in the folder that the user stands in, and in Deno's cache its newest version. */
function librariesOfNpm(): string[] {
  const { os, arch } = Deno.build;
  const cached = Deno.env.get("DENO_DIR") ?? `${userCache()}/deno`;
  const versions = namesIn(`${cached}/npm`).map((host) => `${cached}/npm/${host}/onnxruntime-node`)
    .flatMap((folder) =>
      namesIn(folder).filter((name) => /^\d/.test(name)).map((name) => `${folder}/${name}`)
    )
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const packages = ["node_modules/onnxruntime-node", ...versions.slice(-1)];
  const system = `${os === "windows" ? "win32" : os}/${arch === "x86_64" ? "x64" : "arm64"}`;
  return packages.flatMap((folder) =>
    namesIn(`${folder}/bin`).flatMap((build) => librariesIn(`${folder}/bin/${build}/${system}`))
  );
}
