// Who takes part and how each is started. JavaScript peers run under packages.json beside this file, so that nothing but this
// command downloads them.
import type { Contender } from "./compare.ts";

/** What contenders are started with. */
export interface Setting {
  readonly threads: number;
  /** A Python that has PyTorch, or not. */
  readonly python: string;
}

const path = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);
const root = path("../../");

/** What libraries without a training loop are asked for; they say themselves what they lack. */
const PRODUCTS = ["matmul-512", "matmul-1024", "matmul-96", "grouped", "softmax"];
const LAYERS = ["moe-forward", "moe-gradient", "moe-train"];

function ours(name: string, device: Contender["device"], kind: string, threads: number): Contender {
  const permissions = ["--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi"];
  const args = ["run", "--quiet", "--no-prompt", ...permissions, "--config", `${root}deno.json`];
  return {
    ...{ name, device, ours: true },
    command: { program: Deno.execPath(), args: [...args, path("ours.ts"), kind, String(threads)] },
  };
}

function javascript(name: string, device: Contender["device"], file: string, ...words: string[]): Contender {
  const args = ["run", "--quiet", "--no-prompt", "--allow-all", "--config", path("packages.json")];
  return {
    ...{ name, device, ours: false, only: [...PRODUCTS, ...LAYERS] },
    command: { program: Deno.execPath(), args: [...args, path(file), ...words] },
  };
}

function python(name: string, { python, threads }: Setting, only: readonly string[]): Contender {
  const one = String(threads);
  return {
    ...{ name, device: "cpu", ours: false, only },
    command: {
      program: python,
      args: [path("pytorch.py"), name, one],
      env: { MKL_NUM_THREADS: one, OPENBLAS_NUM_THREADS: one },
    },
  };
}

/** Everybody there is, ours first. */
export function createContenders(setting: Setting): Contender[] {
  const { threads } = setting;
  return [
    ours("switchyard", "cpu", "cpu", threads),
    ours("switchyard-blas", "cpu", "blas", threads),
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
