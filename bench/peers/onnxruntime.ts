// onnxruntime as a contender: from npm on the CPU (its native library, or WebAssembly threads) and on WebGPU. Graphs are
// built here; gradients are graphs too. Weights of a forward pass are part of the model, as for inference; where there are
// gradients they are inputs, since they would change from step to step.
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";
import { createGraph, type Graph, type Value } from "./onnx_graph.ts";
import { backward, forward, type LayerSizes } from "./onnx_moe.ts";

interface OrtTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
  getData(): Promise<Float32Array>;
  dispose(): void;
}

interface Session {
  run(feeds: Readonly<Record<string, OrtTensor>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

interface Ort {
  readonly env: {
    readonly versions: Readonly<Record<string, string>>;
    readonly wasm: { numThreads: number };
    readonly webgpu: { readonly device: Promise<GPUDevice> };
  };
  readonly InferenceSession: { create(model: Uint8Array, options: unknown): Promise<Session> };
  readonly Tensor: {
    new (type: "float32", data: Float32Array, dims: readonly number[]): OrtTensor;
    fromGpuBuffer(buffer: GPUBuffer, options: unknown): OrtTensor;
  };
}

const packages: Readonly<Record<string, string>> = {
  node: "onnxruntime-node",
  wasm: "onnxruntime-web",
  webgpu: "onnxruntime-web/webgpu",
};

/**
 * Deno checks WebAssembly's memory bounds in software (denoland/deno#35658), so a worker learns late that the main thread
 * has made memory larger: it ends with "memory access out of bounds", and the main thread waits for it forever. Memory of
 * one size, 512 MiB, is four times what these workloads were seen to take; whoever needs more gets an error instead.
 */
const MEMORY_PAGES = 8192;

/** A graph's inputs by name. */
type Inputs = Record<string, { readonly values: Float32Array; readonly shape: readonly number[] }>;

async function model(task: Task): Promise<{ bytes: Uint8Array; inputs: Inputs }> {
  const g = await createGraph();
  const inputs: Inputs = {};
  const take = (name: string, values: Float32Array, shape: readonly number[]): Value => {
    inputs[name] = { values, shape };
    return g.input(name, "f32", shape);
  };
  const given = (name: string) => take(name, task.floats(name), task.shapes[name]);
  const { E, rows, K, N } = task.sizes;
  switch (task.name.replace(/-\d+$/, "")) {
    case "matmul":
      g.output("y", g.node("MatMul", [given("a"), given("b")]), [N, N]);
      break;
    case "grouped":
      g.output("y", g.node("MatMul", [take("x", task.floats("x"), [E, rows, K]), given("w")]), [E, rows, N]);
      break;
    case "softmax":
      g.output("y", g.node("Softmax", [given("x")], { axis: 1 }), task.shapes.x);
      break;
    case "moe-forward":
      layer(g, task, given, (_, values, shape) => g.constant(values, shape));
      break;
    case "moe-gradient":
      layer(g, task, given, take);
      break;
    default:
      throw new Missing("onnxruntime has no optimizer in its npm packages, and no autodiff");
  }
  return { bytes: g.encode(), inputs };
}

function layer(
  g: Graph,
  task: Task,
  given: (name: string) => Value,
  weight: (name: string, values: Float32Array, shape: readonly number[]) => Value,
): void {
  const sizes = task.sizes as unknown as LayerSizes;
  const { T, D, F, E } = sizes;
  const bank = (name: string, shape: readonly number[]) => {
    const values = task.floats(name);
    return Array.from(
      { length: E },
      (_, e) => weight(`${name}${e}`, values.subarray(e * D * F, (e + 1) * D * F), shape),
    );
  };
  const values = {
    x: given("x"),
    router: weight("router", task.floats("router"), [D, E]),
    first: bank("first", [D, F]),
    second: bank("second", [F, D]),
  };
  const found = forward(g, values, sizes);
  if (task.name === "moe-forward") return g.output("y", found.y, [T, D]);
  const { loss, dx, drouter, dfirst, dsecond } = backward(g, values, given("target"), found, sizes);
  g.output("loss", loss, []);
  g.output("dx", dx, [T, D]);
  g.output("drouter", drouter, [D, E]);
  dfirst.forEach((value, e) => g.output(`dfirst${e}`, value, [D, F]));
  dsecond.forEach((value, e) => g.output(`dsecond${e}`, value, [F, D]));
}

/** Outputs of single experts put together: dfirst0, dfirst1, ... become dfirst. */
function together(found: Readonly<Record<string, Float32Array>>): Record<string, Float32Array> {
  const parts: Record<string, Float32Array[]> = {};
  for (const [name, values] of Object.entries(found)) (parts[name.replace(/\d+$/, "")] ??= []).push(values);
  return Object.fromEntries(
    Object.entries(parts).map(([name, all]) => {
      const whole = new Float32Array(all.reduce((length, part) => length + part.length, 0));
      let at = 0;
      for (const part of all) {
        whole.set(part, at);
        at += part.length;
      }
      return [name, whole];
    }),
  );
}

async function prepare(ort: Ort, kind: string, threads: number, task: Task): Promise<Prepared> {
  const { bytes, inputs } = await model(task);
  const onGpu = kind === "webgpu";
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [kind === "node" ? "cpu" : kind],
    ...(kind === "node" ? { intraOpNumThreads: threads, interOpNumThreads: 1 } : {}),
    ...(onGpu ? { preferredOutputLocation: "gpu-buffer" } : {}),
    logSeverityLevel: 3,
  });
  const buffers: GPUBuffer[] = [];
  const feeds: Record<string, OrtTensor> = {};
  for (const [name, { values, shape }] of Object.entries(inputs)) {
    if (!onGpu) feeds[name] = new ort.Tensor("float32", values, shape);
    else {
      const device = await ort.env.webgpu.device;
      const { COPY_DST, COPY_SRC, STORAGE } = GPUBufferUsage;
      const size = Math.max(16, values.byteLength);
      const buffer = device.createBuffer({ size, usage: COPY_DST | COPY_SRC | STORAGE });
      device.queue.writeBuffer(buffer, 0, values as BufferSource);
      buffers.push(buffer);
      feeds[name] = ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims: shape });
    }
  }
  const dispose = (found: Readonly<Record<string, OrtTensor>>) => {
    for (const tensor of Object.values(found)) tensor.dispose();
  };
  return {
    async outputs() {
      const found = await session.run(feeds);
      const all: Record<string, Float32Array> = {};
      for (const [name, tensor] of Object.entries(found)) all[name] = (await tensor.getData()).slice();
      dispose(found);
      return together(all);
    },
    async run(count) {
      for (let done = 1; done <= count; done++) {
        const found = await session.run(feeds);
        // Outputs stay on the device; reading the smallest waits for all that was queued before it.
        const size = ({ dims }: OrtTensor) => dims.reduce((product, dimension) => product * dimension, 1);
        const [smallest] = Object.values(found).sort((a, b) => size(a) - size(b));
        if (onGpu && done === count) await smallest.getData();
        dispose(found);
      }
    },
    async free() {
      await session.release();
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

function fixMemorySize(): void {
  const construct = (Memory: typeof WebAssembly.Memory, [asked]: [WebAssembly.MemoryDescriptor]) =>
    new Memory({ ...asked, initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  Object.defineProperty(WebAssembly, "Memory", { value: new Proxy(WebAssembly.Memory, { construct }) });
}

await serve(async (): Promise<Peer> => {
  const [kind, threads] = Deno.args;
  // A variable keeps type checks of the repository from downloading the package.
  const packageName = packages[kind];
  if (kind === "wasm") fixMemorySize();
  const ort = await import(packageName) as Ort;
  if (kind !== "node") ort.env.wasm.numThreads = kind === "wasm" ? Number(threads) : 1;
  const version = ort.env.versions.node ?? ort.env.versions.web ?? ort.env.versions.common;
  return { about: `${packageName} ${version}`, prepare: (task) => prepare(ort, kind, Number(threads), task) };
});
