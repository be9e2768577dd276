// Who takes part and how each is started. JavaScript peers run under packages.json beside this file, so that nothing but this
// command downloads them.
import type { Contender } from "./compare.ts";
import type { Command } from "./process.ts";

/** What contenders are started with. */
export interface Setting {
  readonly threads: number;
  /** A Python that has PyTorch, or not. */
  readonly python: string;
}

const path = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);

/** What libraries without a training loop are asked for; they say themselves what they lack. */
const MATRICES = ["matmul-512", "matmul-1024", "matmul-96", "grouped"];
const PRODUCTS = [...MATRICES, "softmax"];
const LAYERS = ["moe-forward", "moe-gradient", "moe-train"];

/** Inputs, outputs, a library and what it asks of the machine; neither network nor other programs. */
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];

function deno(config: string, permissions: readonly string[], file: string, ...words: string[]): Command {
  const args = ["run", "--quiet", "--no-prompt", ...permissions, "--config", config, path(file), ...words];
  return { program: Deno.execPath(), args };
}

/** A program of this repository; libraries are tried in processes of their own. */
function own(file: string, ...words: string[]): Command {
  return deno(path("../../deno.json"), [...PERMISSIONS, "--allow-run"], file, ...words);
}

function ours(name: string, device: Contender["device"], kind: string, threads: number): Contender {
  return { name, device, ours: true, command: own("ours.ts", kind, String(threads)) };
}

function javascript(name: string, device: Contender["device"], file: string, ...words: string[]): Contender {
  const command = deno(path("packages.json"), PERMISSIONS, file, ...words);
  return { name, device, ours: false, only: [...PRODUCTS, ...LAYERS], command };
}

/** What libraries read when they are loaded; whoever sets threads later is not held to fewer. */
const threadsOf = (threads: number) => ({
  MKL_NUM_THREADS: String(threads),
  OPENBLAS_NUM_THREADS: String(threads),
});

function systemBlas({ threads }: Setting): Contender {
  const command = own("system_blas.ts", String(threads));
  return {
    name: "system-blas",
    device: "cpu",
    ours: false,
    only: MATRICES,
    command: { ...command, env: threadsOf(threads) },
  };
}

function python(name: string, { python, threads }: Setting, only: readonly string[]): Contender {
  return {
    name,
    device: "cpu",
    ours: false,
    only,
    command: {
      program: python,
      args: [path("pytorch.py"), name, String(threads)],
      env: threadsOf(threads),
    },
  };
}

/** Everybody there is, ours first. */
export function createContenders(setting: Setting): Contender[] {
  const { threads } = setting;
  return [
    ours("switchyard", "cpu", "cpu", threads),
    ours("switchyard-blas", "cpu", "blas", threads),
    systemBlas(setting),
    python("pytorch", setting, [...PRODUCTS, ...LAYERS, "moe-swiglu", "language-model"]),
    python("pytorch-loop", setting, LAYERS),
    python("huggingface-mixtral", setting, ["moe-swiglu"]),
    javascript("onnxruntime-node", "cpu", "onnxruntime.ts", "node", String(threads)),
    javascript("onnxruntime-wasm", "cpu", "onnxruntime.ts", "wasm", String(threads)),
    javascript("jax-js-wasm", "cpu", "jax_js.ts", "wasm", String(threads)),
    javascript("tfjs-wasm", "cpu", "tensorflow_js.ts", "wasm", String(threads)),
    ours("switchyard-webgpu", "webgpu", "webgpu", threads),
    javascript("onnxruntime-webgpu", "webgpu", "onnxruntime.ts", "webgpu", String(threads)),
    javascript("jax-js-webgpu", "webgpu", "jax_js.ts", "webgpu", String(threads)),
    javascript("tfjs-webgpu", "webgpu", "tensorflow_js.ts", "webgpu", String(threads)),
  ];
}
