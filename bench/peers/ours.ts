// This repository as a contender: the public parts as a user would put them together, on the CPU (with or without a
// BLAS) or on WebGPU.
import { cpu } from "../../cpu/backend.ts";
import { feedForward } from "../../experts/feed_forward.ts";
import { swiglu } from "../../experts/swiglu.ts";
import { webgpu } from "../../gpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import type { SizeName } from "../../models/sizes.ts";
import { createMoeLayer, type MoeLayer } from "../../moe/layer.ts";
import { topAny } from "../../routers/top_any.ts";
import { square, subtract } from "../../tensor/arithmetic.ts";
import { gradients } from "../../tensor/gradients.ts";
import type { Init } from "../../tensor/init.ts";
import { memory } from "../../tensor/memory.ts";
import { batchedMatmul, matmul } from "../../tensor/products.ts";
import { random } from "../../tensor/random.ts";
import { meanAll, scalar, softmax } from "../../tensor/reduce.ts";
import { type Parameter, parameter, reshape, type Tensor } from "../../tensor/tensor.ts";
import { createAdamW } from "../../training/optimizer.ts";
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";
import { startTraining } from "./language_model.ts";

/** Tensors by output name; a call makes them inside a scope that is then closed. */
type Call = () => Promise<Readonly<Record<string, Tensor>>>;

/** A workload's inputs; they stay until it is over. */
let kept: Tensor[] = [];

function keep(backend: Backend, task: Task, name: string): Parameter {
  const made = parameter(backend, task.floats(name), task.shapes[name]);
  kept.push(made);
  return made;
}

/** A workload whose calls leave nothing behind. */
function stateless(backend: Backend, call: Call): Prepared {
  return {
    async outputs() {
      using _scope = memory(backend);
      const found: Record<string, ArrayLike<number>> = {};
      for (const [name, value] of Object.entries(await call())) {
        found[name] = await value.read();
      }
      return found;
    },
    async run(count) {
      for (let done = 1; done <= count; done++) {
        using _scope = memory(backend);
        const [first] = Object.values(await call());
        if (done === count) await wait(first);
      }
    },
  };
}

/** Waits until a tensor is computed: on the CPU it is, from a GPU it is read, as peers read theirs. */
async function wait(value: Tensor): Promise<void> {
  if (value.backend.name === "webgpu") await value.read();
}

function layerOf(backend: Backend, task: Task, activation: "relu" | "gelu" | "swiglu"): MoeLayer {
  const { D, F, E } = task.sizes;
  /** Initial values come from the workload, not from a stream. */
  const given = (names: Readonly<Record<string, string>>): Init => ({
    backend,
    random: random(0),
    parameter: (name) => keep(backend, task, names[name]),
    part: () => given(names),
  });
  // Nothing is dropped and the balance loss has no weight, so that the layer is the one everybody computes.
  const router = topAny.create(
    { D, E, V: 1 },
    topAny.options.parse({ k: 2, capacityFactor: 0, balance: 0 }),
    given({ gate: "router" }),
  );
  const dims = { D, F, E };
  const experts = activation === "swiglu"
    ? swiglu.create(dims, swiglu.options.parse({}), given({ gate: "first", in: "third", out: "second" }))
    : feedForward.create(
      dims,
      feedForward.options.parse({ activation }),
      given({ in: "first", out: "second" }),
    );
  return createMoeLayer({ D, E, router, experts });
}

/** Layer, its loss and what has gradients, by the workload's names. */
function moe(backend: Backend, task: Task, activation: "relu" | "gelu" | "swiglu") {
  const layer = layerOf(backend, task, activation);
  const x_TD = keep(backend, task, "x");
  const target_TD = keep(backend, task, "target");
  const step = { training: true, random: random(0) };
  const { experts: { params: experts }, router: { params: router } } = layer;
  const names = activation === "swiglu"
    ? { first: experts.gate, third: experts.in, second: experts.out }
    : { first: experts.in, second: experts.out };
  return {
    params: { router: router.gate, ...names },
    x_TD,
    forward: async () => (await layer.apply(x_TD, step)).y_TD,
    loss: async () => meanAll(square(subtract((await layer.apply(x_TD, step)).y_TD, target_TD))),
  };
}

function gradientsOf(backend: Backend, task: Task, activation: "relu" | "swiglu"): Prepared {
  const { params, x_TD, loss } = moe(backend, task, activation);
  const all = { x: x_TD, ...params };
  return stateless(backend, async () => {
    const value = await loss();
    const found = await gradients(value, Object.values(all));
    return {
      loss: value,
      ...Object.fromEntries(Object.keys(all).map((name, at) => [`d${name}`, found[at]!])),
    };
  });
}

function training(backend: Backend, task: Task): Prepared {
  const { params, loss } = moe(backend, task, "gelu");
  const { learningRate, ...settings } = task.sizes;
  // A norm that is never reached: the peers do not clip. (The norm is computed all the same.)
  const optimizer = createAdamW(params, { ...settings, maximumNorm: 1e30 });
  kept.push(...Object.values(optimizer.moments).flatMap(({ first, second }) => [first, second]));
  let taken = 0;
  const step = async (): Promise<Tensor> => {
    const value = await loss();
    const found = await gradients(value, Object.values(params));
    const byName = Object.fromEntries(Object.keys(params).map((name, at) => [name, found[at]!]));
    optimizer.update(byName, learningRate, taken++);
    return value;
  };
  return {
    async outputs() {
      using _scope = memory(backend);
      const first = await scalar(await step());
      const found: Record<string, ArrayLike<number>> = {
        loss: [first],
        nextLoss: [await scalar(await loss())],
      };
      for (const [name, value] of Object.entries(params)) {
        found[name] = await value.read();
      }
      return found;
    },
    async run(count) {
      for (let done = 1; done <= count; done++) {
        using _scope = memory(backend);
        const value = await step();
        if (done === count) await wait(value);
      }
    },
  };
}

async function languageModel(backend: Backend, task: Task): Promise<Prepared> {
  const run = await startTraining(backend, task.word("sizeName") as SizeName);
  return {
    async outputs() {
      const losses: number[] = [];
      while (losses.length < task.sizes.checkedSteps) {
        losses.push(await run.step());
      }
      return { losses };
    },
    async run(count) {
      for (let done = 0; done < count; done++) await run.step();
    },
    free: () => run.free(),
  };
}

async function prepare(backend: Backend, task: Task): Promise<Prepared> {
  const { E, rows, K, N } = task.sizes;
  switch (task.name.replace(/-\d+$/, "")) {
    case "matmul": {
      const [a, b] = [keep(backend, task, "a"), keep(backend, task, "b")];
      return stateless(backend, () => Promise.resolve({ y: matmul(a, b) }));
    }
    case "grouped": {
      const [x, w] = [reshape(keep(backend, task, "x"), [E, rows, K]), keep(backend, task, "w")];
      return stateless(backend, () => Promise.resolve({ y: reshape(batchedMatmul(x, w), [E * rows, N]) }));
    }
    case "softmax": {
      const x = keep(backend, task, "x");
      return stateless(backend, () => Promise.resolve({ y: softmax(x) }));
    }
    case "moe-forward": {
      const { forward } = moe(backend, task, "relu");
      return stateless(backend, async () => ({ y: await forward() }));
    }
    case "moe-gradient":
      return gradientsOf(backend, task, "relu");
    case "moe-swiglu":
      return gradientsOf(backend, task, "swiglu");
    case "moe-train":
      return training(backend, task);
    case "language-model":
      return await languageModel(backend, task);
    default:
      throw new Missing(`it has no workload "${task.name}"`);
  }
}

async function open(kind: string, threads: number): Promise<{ backend: Backend; about: string }> {
  if (kind === "webgpu") {
    const backend = await webgpu();
    return { backend, about: `this repository on ${backend.arithmetic.device}` };
  }
  const options = { threads, blas: kind === "blas" ? "auto" : "off" };
  const backend = await cpu(options);
  const { blas } = backend.arithmetic as { readonly blas?: string };
  if (kind === "blas" && (!blas || blas.startsWith("none"))) {
    throw new Missing(`the CPU backend uses no BLAS: ${blas ?? "this version has no option for it"}`);
  }
  return { backend, about: `this repository, WebAssembly${kind === "blas" ? ` and ${blas}` : ""}` };
}

await serve(async (): Promise<Peer> => {
  const [kind, threads] = Deno.args;
  const { backend, about } = await open(kind, Number(threads));
  return {
    about,
    async prepare(task) {
      const prepared = await prepare(backend, task);
      return {
        ...prepared,
        free() {
          prepared.free?.();
          for (const { buffer } of kept) backend.free(buffer);
          kept = [];
        },
      };
    },
  };
});
