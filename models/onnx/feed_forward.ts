// A feed-forward network of somebody else's ONNX file as weights of experts here: two products with an activation between them, or
// with a gate. Graphs are read backwards from their output; anything else is refused by the name of its operator.
import { readOnnx } from "../../formats/onnx_read.ts";
import type { Place } from "../../formats/open_source.ts";
import type { Init } from "../../tensor/init.ts";
import { hiddenUnits } from "./hidden_units.ts";
import { reading } from "./reading.ts";

/** A network of the form that experts have here. */
export interface FeedForwardNetwork {
  /** The kind of experts that computes it. */
  readonly experts: "feed-forward" | "swiglu";
  /** Options of that kind. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Width of what it reads and gives. */
  readonly D: number;
  /** Intermediate size. */
  readonly F: number;
  /** Weights of one expert by name, row-major: `in` [D, F], `out` [F, D], `gate` [D, F], and biases. */
  readonly weights: Readonly<Record<string, Float32Array>>;
}

/**
 * Reads a network [N, D] -> [N, D] from an ONNX file: x W + b, then ReLU, exact GELU, SiLU or squared ReLU, or a SiLU gate, then
 * W + b. `MatMul` and `Add` or `Gemm`, as exporters write them.
 * @throws {RangeError} when the graph is another, naming the operator that does not fit; as `readOnnx` does.
 * @example
 * ```ts
 * import { encodeOnnx } from "@switchyard/moe/formats";
 * import { readFeedForward } from "@switchyard/moe/onnx";
 * import { assertEquals } from "@std/assert";
 * const node = (op: string, inputs: string[], output: string) =>
 *   ({ op, domain: "", inputs, outputs: [output], attributes: {} });
 * const weight = (name: string, shape: number[], ...values: number[]) =>
 *   ({ name, dtype: "F32", shape, data: new Uint8Array(Float32Array.from(values).buffer) }) as const;
 * const file = await encodeOnnx({
 *   opsets: { "": 18 },
 *   nodes: [node("MatMul", ["x", "a"], "h"), node("Relu", ["h"], "r"), node("MatMul", ["r", "b"], "y")],
 *   weights: [weight("a", [2, 1], 1, 2), weight("b", [1, 2], 3, 4)],
 *   inputs: [{ name: "x", dtype: "F32", shape: ["N", 2] }],
 *   outputs: [{ name: "y", dtype: "F32", shape: ["N", 2] }],
 *   metadata: {},
 * });
 * const { experts, options, D, F, weights } = await readFeedForward(file);
 * assertEquals([experts, D, F, options], ["feed-forward", 2, 1, { activation: "relu", bias: false }]);
 * assertEquals(weights.out, Float32Array.of(3, 4));
 * ```
 */
export async function readFeedForward(place: Place): Promise<FeedForwardNetwork> {
  const graph = reading(await readOnnx(place));
  const second = await graph.product(graph.output);
  const { activation, products } = await hiddenUnits(graph, second.x);
  const [first] = products;
  if (products.some(({ x }) => x !== graph.input)) graph.refuse(`it does not read ${graph.input} alone`);
  const [D, F] = [first.rows, first.columns];
  if (
    second.rows !== F || second.columns !== D || products.some((one) => one.rows !== D || one.columns !== F)
  ) {
    graph.refuse(
      `its products are ${
        products.concat(second).map(({ rows, columns }) => `${rows} x ${columns}`).join(", ")
      }; ` +
        "experts read and give the same width",
    );
  }
  const isGated = products.length === 2;
  const parts = [...(isGated ? ["gate", "in"] : ["in"]), "out"].map((name, at) =>
    [name, products[at] ?? second] as const
  );
  const bias = parts.some(([, one]) => one.bias !== null);
  const weights = parts.map(([name, { values }]) => [name, values] as const);
  const biases = parts.map(([name, one]) =>
    [`${name}Bias`, one.bias ?? new Float32Array(one.columns)] as const
  );
  return {
    experts: isGated ? "swiglu" : "feed-forward",
    options: isGated ? { bias } : { activation, bias },
    D,
    F,
    weights: Object.fromEntries(bias ? [...weights, ...biases] : weights),
  };
}

/**
 * Initial values from a network: every expert of every mixture begins as a copy of it, everything else as `init` says. Experts
 * that are equal stay equal in what they learn until their tokens differ.
 * @example
 * ```ts
 * import { cpu, createInit, feedForward, random } from "@switchyard/moe";
 * import { type FeedForwardNetwork, startFrom } from "@switchyard/moe/onnx";
 * import { assertEquals } from "@std/assert";
 * const weights = { in: Float32Array.of(1, 2), out: Float32Array.of(3, 4) };
 * const network: FeedForwardNetwork = { experts: "feed-forward", options: {}, D: 2, F: 1, weights };
 * const backend = await cpu({ threads: 1 });
 * const init = startFrom(network, createInit(backend, random(0)));
 * const bank = feedForward.create({ D: 2, F: 1, E: 2 }, feedForward.options.parse({}), init.part("experts"));
 * assertEquals(await bank.params.out.read(), Float32Array.of(3, 4, 3, 4));
 * backend.close();
 * ```
 */
export function startFrom(network: FeedForwardNetwork, init: Init): Init {
  const inPart = (part: Init, isExperts: boolean): Init => ({
    ...part,
    parameter(name, shape, fill, options) {
      const values = isExperts ? network.weights[name] : undefined;
      if (!values) return part.parameter(name, shape, fill, options);
      const size = shape.slice(1).reduce((product, one) => product * one, 1);
      if (size !== values.length) {
        throw new RangeError(
          `Cannot start experts from a network of width ${network.D} and intermediate size ${network.F}: "${name}" has ` +
            `${size} weights an expert, and the network's has ${values.length}`,
        );
      }
      return part.parameter(name, shape, (_, count) => repeated(values, count), options);
    },
    part: (name) => inPart(part.part(name), name === "experts"),
  });
  return inPart(init, false);
}

function repeated(values: Float32Array, count: number): Float32Array {
  const all = new Float32Array(count);
  for (let at = 0; at < count; at += values.length) all.set(values, at);
  return all;
}
