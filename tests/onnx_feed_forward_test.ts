// Feed-forward networks of ONNX files as weights of experts: what an expert then computes is what onnxruntime computes of the
// file, in every way that exporters write it; other graphs are refused by the operator that does not fit.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeOnnx, type OnnxAttribute, type OnnxModel, type OnnxNode, openOnnx } from "../formats/mod.ts";
import {
  cpu,
  createInit,
  createModel,
  createMoeLayer,
  findExperts,
  findRouter,
  memory,
  parseExpertOptions,
  parseOptions,
  random,
  tensor,
} from "../mod.ts";
import { readFeedForward, startFrom } from "../models/onnx/mod.ts";
import { configOf, specOf } from "../training/mod.ts";

const [D, F, T] = [6, 10, 9];
const backend = await cpu({ threads: 1 });

type Attributes = Record<string, OnnxAttribute>;

/** A graph written as lines: `y = MatMul x w`. */
function graphOf(lines: readonly string[], attributes: Record<string, Attributes> = {}): OnnxModel {
  const nodes = lines.map((line): OnnxNode => {
    const [output, op, ...inputs] = line.split(/ = | /);
    return { op, domain: "", inputs, outputs: [output], attributes: attributes[output] ?? {} };
  });
  const weight = (name: string, shape: number[], values?: number[]) => {
    const size = shape.reduce((product, one) => product * one, 1);
    const drawn = values ? Float32Array.from(values) : random(7).split(name).normal(size);
    return { name, dtype: "F32", shape, data: new Uint8Array(drawn.buffer) } as const;
  };
  const weights = [
    weight("w1", [D, F]),
    weight("w1t", [F, D]),
    weight("wg", [D, F]),
    weight("b1", [F]),
    weight("w2", [F, D]),
    weight("w2t", [D, F]),
    weight("b2", [1, D]),
    weight("half", [], [0.5]),
    weight("one", [1], [1]),
    weight("two", [], [2]),
    weight("root2", [], [Math.SQRT2]),
    weight("root", [], [Math.SQRT1_2]),
  ];
  const value = (name: string) => ({ name, dtype: "F32", shape: ["N", D] } as const);
  const used = new Set(nodes.flatMap(({ inputs }) => inputs));
  return {
    opsets: { "": 20 },
    nodes,
    weights: weights.filter(({ name }) => used.has(name)),
    inputs: [value("x")],
    outputs: [value("y")],
    metadata: {},
  };
}

const turned = { int: 1 };
const networks: Readonly<
  Record<string, readonly [lines: string[], attributes?: Record<string, Attributes>]>
> = {
  "relu, by MatMul and Add": [[
    "a = MatMul x w1",
    "b = Add a b1",
    "c = Relu b",
    "d = MatMul c w2",
    "y = Add b2 d",
  ]],
  "relu, by Gemm as PyTorch writes it": [
    ["b = Gemm x w1t b1", "c = Relu b", "y = Gemm c w2t b2"],
    { b: { transB: turned, alpha: { float: 1 } }, y: { transB: turned } },
  ],
  "relu, by matrices turned in the graph": [
    ["t = Transpose w1t", "b = MatMul x t", "i = Identity b", "c = Relu i", "y = Gemm c w2"],
    { t: { perm: { ints: [1, 0] } } },
  ],
  "one bias of two": [["b = Gemm x w1 b1", "c = Relu b", "y = MatMul c w2"]],
  "silu": [["b = MatMul x w1", "s = Sigmoid b", "c = Mul b s", "y = MatMul c w2"]],
  "squared relu": [["b = MatMul x w1", "r = Relu b", "c = Pow r two", "y = MatMul c w2"]],
  "squared relu as a product": [["b = MatMul x w1", "r = Relu b", "c = Mul r r", "y = MatMul c w2"]],
  "gelu": [["b = MatMul x w1", "c = Gelu b", "y = MatMul c w2"]],
  "gelu by Erf, as PyTorch writes it": [
    [
      "b = Gemm x w1 b1",
      "q = Div b root2",
      "e = Erf q",
      "p = Add e one",
      "m = Mul b p",
      "c = Mul m half",
      "y = MatMul c w2",
    ],
  ],
  "gelu by Erf, in another order": [
    [
      "b = MatMul x w1",
      "q = Mul root b",
      "e = Erf q",
      "p = Add one e",
      "h = Mul half p",
      "c = Mul h b",
      "y = MatMul c w2",
    ],
  ],
  "a SiLU gate": [
    ["g = MatMul x wg", "u = MatMul x w1", "s = Sigmoid g", "a = Mul g s", "c = Mul a u", "y = MatMul c w2"],
  ],
  "a SiLU gate with biases": [
    [
      "g = Gemm x wg b1",
      "u = MatMul x w1",
      "s = Sigmoid g",
      "a = Mul g s",
      "c = Mul a u",
      "y = Gemm c w2 b2",
    ],
  ],
  "a SiLU gate behind its units": [
    ["g = MatMul x wg", "s = Sigmoid g", "u = MatMul x w1", "a = Mul u g", "c = Mul a s", "y = MatMul c w2"],
  ],
};

for (const [name, [lines, attributes]] of Object.entries(networks)) {
  Deno.test(`experts that start from a network compute what it does (${name})`, async () => {
    const file = await encodeOnnx(graphOf(lines, attributes));
    const network = await readFeedForward(file);
    const plugin = findExperts(network.experts);
    const init = startFrom(network, createInit(backend, random(0)));
    const [E, router] = [3, findRouter("gumbel-matching")]; // weights are 1
    using layer = createMoeLayer({
      D,
      E,
      router: router.create({ D, E, V: 1 }, parseOptions(router), init.part("router")),
      experts: plugin.create({ D, F, E }, parseExpertOptions(plugin, network.options), init.part("experts")),
    });
    using _scope = memory(backend);
    const x = random(1).normal(T * D);
    const { y_TD } = await layer.apply(tensor(backend, x, [T, D]), { training: false, random: random(0) });
    const ours = await y_TD.read();
    await using session = await openOnnx(file);
    const theirs = (await session.run({ x: { shape: [T, D], values: x } })).y.values as Float32Array;
    const largest = Math.max(...theirs.map(Math.abs));
    assert(largest > 0.5);
    ours.forEach((value, at) =>
      assert(Math.abs(value - theirs[at]) <= 2e-6 * largest, `${value} ${theirs[at]}`)
    );
  });
}

/** Squares of squares: 2^count factors. */
function doublings(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `m${at + 1} = Mul m${at} m${at}`);
}

const refusals: Readonly<
  Record<string, readonly [lines: string[], why: string, attributes?: Record<string, Attributes>]>
> = {
  "an activation that experts do not have": [
    ["b = MatMul x w1", "c = Tanh b", "y = MatMul c w2"],
    'Tanh makes "c", where an activation is expected',
  ],
  "an approximate gelu": [
    ["b = MatMul x w1", "c = Gelu b", "y = MatMul c w2"],
    "its Gelu is an approximation",
    { c: { approximate: { text: "tanh" } } },
  ],
  "a residual": [
    ["b = MatMul x w1", "c = Relu b", "d = MatMul c w2", "y = Add d x"],
    '"x", which is added to a product of 6 columns, is no bias',
  ],
  "a product of two inputs": [
    ["b = MatMul x w1", "c = Relu b", "y = MatMul c c"],
    '"c", which a product reads, is no matrix of the model',
  ],
  "one product": [["y = MatMul x w1"], '"x", where an activation is expected'],
  "a scaled product": [
    ["b = Gemm x w1", "c = Relu b", "y = MatMul c w2"],
    "a Gemm has transA = 0, alpha = 0.5 and beta = 1",
    { b: { alpha: { float: 0.5 } } },
  ],
  "widths that differ": [
    ["b = MatMul x w1", "c = Relu b", "y = MatMul c w1"],
    "its products are 6 x 10, 6 x 10",
  ],
  "a product of many factors": [
    ["m0 = MatMul x w1", ...doublings(40), "y = MatMul m40 w2"],
    "a product of more than 8 factors",
  ],
  "a circle": [["a = Relu y", "y = MatMul a w2"], 'Relu reads "y", which nothing before it makes'],
};

Deno.test("other graphs are refused by the operator that does not fit", async () => {
  for (const [name, [lines, why, attributes]] of Object.entries(refusals)) {
    const file = await encodeOnnx(graphOf(lines, attributes));
    const { message } = await assertRejects(
      () => readFeedForward(file),
      RangeError,
      "Cannot read a feed-forward",
    );
    assert(message.includes(why), `${name}: ${message}`);
  }
});

Deno.test("a whole model's experts start as copies, and everything else as it would", async () => {
  const network = await readFeedForward(await encodeOnnx(graphOf(networks["relu, by MatMul and Add"][0])));
  const words = { input: { kind: "tokens", V: 9, tokenCount_V: new Int32Array(9).fill(1) } } as const;
  const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
  const settings = {
    "model.width": D,
    "model.heads": 1,
    "model.experts": 4,
    "model.expertWidth": F,
  } as const;
  const spec = (width: number) =>
    specOf(configOf({ ...settings, "model.expertWidth": width, "experts.bias": true }), data);
  const fresh = createInit(backend, random(3));
  const [started, plain] = [createModel(spec(F), startFrom(network, fresh)), createModel(spec(F), fresh)];
  for (const [name, param] of Object.entries(started.params)) {
    const values = await param.read();
    if (/experts\./.test(name)) {
      const each = network.weights[name.replace(/.*\./, "")];
      assertEquals(
        values,
        Float32Array.from({ length: 4 * each.length }, (_, at) => each[at % each.length]),
        name,
      );
    } else assertEquals(values, await plain.params[name].read(), name);
  }
  const narrow = () => createModel(spec(F + 2), startFrom(network, fresh));
  await assertRejects(() => Promise.try(narrow), RangeError, "intermediate size 10");
  started.free();
  plain.free();
});
