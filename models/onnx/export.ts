// A model or a layer as an ONNX graph. Its forward pass in evaluation is traced as it is, so that what is exported is what runs
// here: no router or expert says a second time what it does.
import type { OnnxModel, OnnxValue } from "../../formats/onnx_model.ts";
import { type Backend, type Buffer, sizeOf } from "../../kernels/kernel.ts";
import type { MoeLayer } from "../../moe/layer.ts";
import type { Routing } from "../../routers/router.ts";
import type { Params } from "../../tensor/init.ts";
import { memory } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { equalSequences } from "../../tensor/sequences.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Model } from "../model.ts";
import { chooseTokens, patternOf } from "./facts.ts";
import type { Graph, Name } from "./graph.ts";
import { createLowering, type Lowered } from "./lower.ts";
import { type Stored, type Target, withoutViews } from "./lowering.ts";
import { openTrace, type Trace, type Traced } from "./trace.ts";

/** How a model is exported. */
export interface OnnxOptions {
  /**
   * `fused`: com.microsoft.MoE of onnxruntime, which runs on its CPU and in WebAssembly. `portable`: standard operators, each
   * expert on the rows of its tokens. `dense`: standard operators without sizes that depend on data, every expert on every
   * token. Default: fused.
   */
  readonly target?: Target;
  /** Positions that rotary attention knows: longer sequences fail. Default: 2048, or the length of training if that is more. */
  readonly longest?: number;
  /** Texts to be written with the model. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A size that differs from call to call. */
const OPEN = "tokens";

/**
 * Exports one MoE layer, without residual: input `x` [tokens, D], outputs `y` [tokens, D], `experts` (whole numbers, -1 for none)
 * and `weights`, [tokens, K] both.
 * @param backend The backend of its parameters.
 * @throws {RangeError} when what the router decides depends on a batch, on chance or on the host, or the target does not have
 * what the experts compute.
 * @example
 * ```ts
 * import { cpu, createInit, createMoeLayer, noisyTopKRouter, parseOptions, random, swiglu } from "@switchyard/moe";
 * import { exportLayer } from "@switchyard/moe/onnx";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [D, F, E] = [8, 16, 4];
 * const router = noisyTopKRouter.create({ D, E, V: 1 }, parseOptions(noisyTopKRouter, { k: 2 }), init.part("router"));
 * const experts = swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts"));
 * const model = await exportLayer(createMoeLayer({ D, E, router, experts }), backend);
 * assertEquals(model.outputs.map(({ name }) => name), ["y", "experts", "weights"]);
 * assertEquals(model.nodes.some(({ op }) => op === "MoE"), true);
 * backend.close();
 * ```
 */
export async function exportLayer(
  layer: MoeLayer,
  backend: Backend,
  options: OnnxOptions = {},
): Promise<OnnxModel> {
  const { D, params } = layer;
  const tokens = chooseTokens([D, ...sizesOf(params)]);
  const trace = traceOn(backend);
  using _scope = memory(trace.backend);
  const x_TD = tensor(trace.backend, trace.input("x", new Float32Array(tokens * D)), [tokens, D]);
  const tokenId_T = tensor(trace.backend, trace.input("ids", new Int32Array(tokens)), [tokens]);
  const step = {
    training: false,
    step: 0,
    random: random(0),
    tokenId_T,
    sequences: equalSequences(1, tokens),
  };
  const { y_TD, routing } = await layer.apply(x_TD, step);
  const on = createLowering({
    tokens,
    target: options.target ?? "fused",
    longest: 0,
    input(_graph, name) {
      if (name === "x") return name;
      throw new RangeError(
        "Cannot export the layer: its router reads token ids, and a layer alone is given none; export the model",
      );
    },
    tokenCount: (graph) => sizeOfAxis(graph, "x", 0),
    sequences() {
      throw new RangeError("Cannot export the layer: it reads whole sequences");
    },
    stored: memoryOf(backend, params),
  });
  const choice = choiceOf(routing, trace, on, "the layer's router");
  on.graph.rename(on.about("the layer's experts", () => on.value(trace.valueOf(y_TD.buffer))), "y");
  on.graph.rename(choice.experts, "experts");
  on.graph.rename(choice.weights, "weights");
  return on.graph.finish(
    [{ name: "x", dtype: "F32", shape: [OPEN, D] }],
    [{ name: "y", dtype: "F32", shape: [OPEN, D] }, ...choiceValues("", [OPEN], choice.K)],
    options.metadata ?? {},
  );
}

/**
 * Exports a whole model: input `input_ids` [batch, length], outputs `logits` [batch, length, V] (or classes) and for each mixture
 * `blocks.1.choice.experts` and `blocks.1.choice.weights`, [batch, length, K]. Sequences of a batch are of one length; shorter
 * ones may be filled up behind their end, which earlier tokens do not see.
 * @throws {RangeError} as {@linkcode exportLayer} does, naming the router or experts and their layer.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, random } from "@switchyard/moe";
 * import { exportModel } from "@switchyard/moe/onnx";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assertEquals, assertRejects } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const backend = await cpu({ threads: 1 });
 * const make = (settings: Record<string, unknown>) =>
 *   createModel(specOf(configOf(settings as never), data), createInit(backend, random(0)));
 * const exported = await exportModel(make({ "router.name": "noisy-top-k" }), backend);
 * assertEquals(exported.inputs[0].shape, ["batch", "length"]);
 * const chosen = make({ "router.name": "expert-choice" });
 * await assertRejects(() => exportModel(chosen, backend), RangeError, "decides for each token alone");
 * backend.close();
 * ```
 */
export async function exportModel(
  model: Model,
  backend: Backend,
  options: OnnxOptions = {},
): Promise<OnnxModel> {
  const { spec } = model;
  const tokens = chooseTokens([spec.D, ...sizesOf(model.params)]);
  const trace = traceOn(backend);
  using _scope = memory(trace.backend);
  const tokenId_T = trace.input("input_ids", new Int32Array(tokens));
  const { logits_TV, layers } = await model.forward(
    { tokenId_T, sequences: equalSequences(1, tokens) },
    { training: false, step: 0, random: random(0), backend: trace.backend },
  );
  const on = createLowering({
    tokens,
    target: options.target ?? "fused",
    longest: options.longest ?? Math.max(2048, spec.length),
    input: (graph, name) => graph.node("Reshape", [name, graph.wholes([-1])]),
    tokenCount: (graph) => graph.node("ReduceProd", [graph.node("Shape", ["input_ids"])]),
    sequences: (graph) => ({
      count: sizeOfAxis(graph, "input_ids", 0),
      length: sizeOfAxis(graph, "input_ids", 1),
    }),
    stored: memoryOf(backend, model.params),
  });
  const { graph } = on;
  const bySequence = (value: Name, last: number) =>
    graph.node("Reshape", [
      value,
      graph.node("Concat", [graph.node("Shape", ["input_ids"]), graph.wholes([last])], { axis: { int: 0 } }),
    ]);
  const outputs: OnnxValue[] = [];
  const shape = ["batch", "length"];
  for (const { layer, routing, y_TD } of layers) {
    const { called } = model.routers[`blocks.${layer}.router`];
    const { K, experts, weights } = choiceOf(routing, trace, on, `${called} of layer ${layer}`);
    const prefix = `blocks.${layer}.choice.`;
    graph.rename(bySequence(experts, K), `${prefix}experts`);
    graph.rename(bySequence(weights, K), `${prefix}weights`);
    on.about(`the experts of layer ${layer}`, () => on.value(trace.valueOf(y_TD.buffer)));
    outputs.push(...choiceValues(prefix, shape, K));
  }
  const classes = logits_TV!.shape[1];
  graph.rename(bySequence(on.value(trace.valueOf(logits_TV!.buffer)), classes), "logits");
  return graph.finish(
    [{ name: "input_ids", dtype: "I64", shape }],
    [{ name: "logits", dtype: "F32", shape: [...shape, classes] }, ...outputs],
    options.metadata ?? {},
  );
}

function traceOn(backend: Backend): Trace {
  return openTrace(
    backend,
    () => new RangeError("Cannot export the model: its router or its experts compute on the host"),
  );
}

function sizeOfAxis(graph: Graph, value: Name, axis: number): Name {
  return graph.node("Gather", [graph.node("Shape", [value]), graph.wholes([axis])]);
}

function sizesOf(params: Params): number[] {
  return Object.values(params).flatMap(({ shape }) => shape);
}

/** The model's memory by buffer. Parameters have their path's name, frozen vectors a number; the last one read is kept. */
function memoryOf(backend: Backend, params: Params): (of: Traced) => Stored | null {
  const names = new Map<Buffer, string>(Object.entries(params).map(([path, { buffer }]) => [buffer, path]));
  let last: { readonly buffer: Buffer; readonly values: Promise<Float32Array> } | null = null;
  const read = (buffer: Buffer) => {
    if (last?.buffer !== buffer) last = { buffer, values: backend.read(buffer) as Promise<Float32Array> };
    return last.values;
  };
  return (of) => {
    const { origin, type: { shape } } = withoutViews(of);
    if (origin.kind !== "stored" || sizeOf(shape) !== sizeOf(of.type.shape)) return null;
    const { buffer } = origin;
    const name = names.get(buffer) ?? `frozen.${names.size}`;
    names.set(buffer, name);
    return { name, shape, read: () => read(buffer) };
  };
}

/** What a router decided, as values of the graph. */
interface Choice {
  readonly K: number;
  readonly experts: Name;
  readonly weights: Name;
}

function choiceOf(routing: Routing, trace: Trace, on: Lowered, subject: string): Choice {
  return on.about(subject, () => {
    if (routing.mixture) {
      on.refuse("it gives experts means of a sequence's tokens, and an exported model knows no sequence");
    }
    const K = routing.choices ?? eachOf(routing, trace, on);
    const byToken = ({ buffer }: Tensor) =>
      on.graph.node("Reshape", [on.value(trace.valueOf(buffer)), on.graph.wholes([-1, K])]);
    return { K, experts: byToken(routing.expert_N), weights: byToken(routing.weight_N) };
  });
}

/** Assignments of a token, where they are laid out token by token; `combine.ts` refuses others, with the reason. */
function eachOf({ token_N }: Routing, trace: Trace, on: Lowered): number {
  const { origin } = withoutViews(trace.valueOf(token_N.buffer));
  const pattern = origin.kind === "numbers" ? patternOf(origin.values, on.tokens) : null;
  return pattern?.first.length ?? 1;
}

function choiceValues(prefix: string, shape: readonly string[], K: number): OnnxValue[] {
  return [
    { name: `${prefix}experts`, dtype: "I64", shape: [...shape, K] },
    { name: `${prefix}weights`, dtype: "F32", shape: [...shape, K] },
  ];
}
