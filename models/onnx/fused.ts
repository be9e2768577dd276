// A mixture as onnxruntime's own operator, com.microsoft.MoE. It takes scores and makes weights of them by a softmax over the k
// highest; given the logarithms of weights it gives back these weights over their sum, so that any router's choice fits.
import type { Attributes, Name } from "./graph.ts";
import { type Keys, keysOf } from "./keys.ts";
import { type Lowering, makerOf, type Stored } from "./lowering.ts";
import type { Mixture } from "./mixture.ts";
import { spread } from "./operators.ts";
import type { Step, Traced } from "./trace.ts";
import { checkBlocks, codesAndScales, isOperatorFormat, quantisedAttributes } from "./quantised.ts";
import { reordered, turned } from "./weights.ts";

const OTHERS = 'choose target "portable" or "dense"';
/** The logarithm of no weight: e to this is 0. */
const NOTHING = -1e4;

/** A product's matrices as the operator takes them, before they are written. */
interface Matrices {
  /** [E, K, M]. */
  readonly weight: Stored;
  /** What errors and names say of their order. */
  readonly suffix: string;
  readonly format: string | null;
}

/** What the operator knows of an expert. */
interface Experts {
  readonly first: Matrices;
  readonly firstBias: Name;
  readonly second: Matrices;
  readonly secondBias: Name;
  readonly attributes: Attributes;
  /** What the experts read, [T, D]. */
  readonly x: Traced;
}

/** Writes a mixture as one node. */
export function fused(mixture: Mixture, on: Lowering): Name {
  const { graph } = on;
  const { E, K, expert_TK, weight_TK, base } = mixture;
  if (!mixture.isNeverNegative) {
    on.refuse(`its weights may be below 0, and the fused operator takes their logarithms; ${OTHERS}`);
  }
  const experts = expertsOf(mixture, on);
  const weight_TE = spread(graph, expert_TK, weight_TK, E);
  const score_TE = graph.node("Max", [graph.node("Log", [weight_TE]), graph.floats([NOTHING], [1])]);
  const { first, firstBias, second, secondBias, attributes } = experts;
  const choice = { k: { int: Math.min(K, E) }, normalize_routing_weights: { int: 1 }, ...attributes };
  const { format } = first;
  if (second.format !== format) refuseForm(on);
  const last = secondBias === "" ? [] : [secondBias];
  const rows = [on.value(experts.x), score_TE];
  let mean_TD: Name;
  if (format === null) {
    const matrices = [turnedWeight(first, on), firstBias, turnedWeight(second, on)];
    mean_TD = graph.contributed("MoE", [...rows, ...matrices, ...last], choice);
  } else {
    if (!isOperatorFormat(format)) {
      return on.refuse(`its experts' weights are kept as ${format}; onnxruntime's QMoE takes int4 and int8`);
    }
    checkBlocks(first.weight.shape[1], second.weight.shape[1], on);
    const [one, other] = [first, second].map(({ weight }) => codesAndScales(weight, format, on));
    const attributes = { ...choice, ...quantisedAttributes(format) };
    mean_TD = graph.contributed("QMoE", [...rows, ...one, firstBias, ...other, ...last], attributes);
  }
  const total_T1 = graph.node("ReduceSum", [weight_TE, graph.wholes([1])]);
  const y_TD = graph.node("Mul", [mean_TD, total_T1]);
  return base ? graph.node("Add", [base, y_TD]) : y_TD;
}

/** act(x W + b) W + b, or silu(x W + b) (x W + b) W + b. */
function expertsOf({ rows, grouping, E }: Mixture, on: Lowering): Experts {
  const keys = keysOf(grouping, E);
  const second = productOf(rows, keys, on);
  if (second.activation !== null) refuseForm(on);
  const hidden = makerOf(second.x)?.step ?? refuseForm(on);
  const after = {
    second: matricesOf(second, on),
    secondBias: second.bias ? on.value(second.bias) : "",
  };
  const ofTokens = (product: Product) => keys.isOfRows(product.x) ? refuseForm(on) : product;
  switch (hidden.kernel) {
    case "swiglu": {
      const [gate, unit] = hidden.inputs.map((input) => ofTokens(productOf(input, keys, on)));
      if (gate.activation !== null || unit.activation !== null || gate.x !== unit.x) refuseForm(on);
      return { ...after, ...gatedUnits(gate, unit, on), attributes: gateOf(hidden), x: gate.x };
    }
    case "paired_swiglu": {
      const both = ofTokens(productOf(hidden.inputs[0], keys, on));
      if (both.activation !== null) refuseForm(on);
      return { ...after, ...firstOf(both, on), attributes: gateOf(hidden), x: both.x };
    }
  }
  const first = ofTokens(productOf(second.x, keys, on));
  if (first.activation !== "relu" && first.activation !== "silu") {
    on.refuse(
      `its experts' activation is ${
        first.activation ?? "none"
      }; the fused operator has relu and silu (its gelu is an ` +
        `approximation, 2e-4 away); ${OTHERS}`,
    );
  }
  const attributes = { activation_type: { text: first.activation! } };
  return { ...after, ...firstOf(first, on), attributes, x: first.x };
}

function firstOf(product: Product, on: Lowering): Pick<Experts, "first" | "firstBias"> {
  return { first: matricesOf(product, on), firstBias: product.bias ? on.value(product.bias) : "" };
}

function refuseForm(on: Lowering): never {
  return on.refuse(`its experts are no two products with an activation or a gate between them; ${OTHERS}`);
}

/** A product of rows. */
interface Product {
  readonly x: Traced;
  readonly weight: Traced;
  readonly bias: Traced | null;
  readonly activation: string | null;
  /** The format that its matrices are rounded to. */
  readonly format: string | null;
}

function productOf(value: Traced, keys: Keys, on: Lowering): Product {
  const { origin } = value;
  if (origin.kind !== "made" || !/^(grouped|quantised)_matmul$/.test(origin.step.kernel)) {
    return refuseForm(on);
  }
  const { kernel, inputs, params } = origin.step;
  if (params.half) return on.refuse(`its experts compute in half precision; ${OTHERS}`);
  const own = keys.ownOfOffset(inputs[2]);
  if (!own?.every((one, e) => one === e)) refuseForm(on);
  return {
    x: inputs[0],
    weight: kernel === "grouped_matmul" ? inputs[1] : roundedFrom(inputs[1], on),
    format: kernel === "grouped_matmul" ? null : String(params.format),
    bias: params.biased ? inputs[params.each === undefined ? 3 : 4] : null,
    activation: params.activation === undefined ? null : String(params.activation),
  };
}

/** What matrices in a format were rounded from. */
function roundedFrom(words: Traced, on: Lowering): Traced {
  const maker = makerOf(words)?.step;
  return maker?.kernel === "quantise"
    ? maker.inputs[0]
    : on.refuse("its experts are kept as codes alone, without weights in f32; export the run they come from");
}

function matricesOf({ weight, format }: Product, on: Lowering): Matrices {
  return { weight: storedOf(weight, on), suffix: "turned", format };
}

function storedOf(weight: Traced, on: Lowering): Stored {
  return on.stored(weight) ?? on.refuse(`its experts' matrices are computed from others; ${OTHERS}`);
}

/** [E, K, M] as [E, M, K]. */
function turnedWeight({ weight, suffix }: Matrices, on: Lowering): Name {
  const [E, K, M] = weight.shape;
  return reordered(on, weight, suffix, [E, M, K], (values) => turned(values, E, K, M));
}

/** Gates and units take turns in rows of one matrix. */
function gatedUnits(gate: Product, unit: Product, on: Lowering): Pick<Experts, "first" | "firstBias"> {
  const [E, D, F] = gate.weight.type.shape;
  const [gates, units] = [storedOf(gate.weight, on), storedOf(unit.weight, on)];
  const both: Stored = {
    name: gates.name,
    shape: [E, D, 2 * F],
    read: async () => pairs(await gates.read(), await units.read()),
  };
  if (gate.format !== unit.format) refuseForm(on);
  const first = { weight: both, suffix: "gate-unit", format: gate.format };
  return { first, firstBias: biasPairs(gate.bias, unit.bias, on) };
}

/** What makes of gates and units what experts make of them. */
function gateOf({ params }: Step): Attributes {
  const { limit, steepness = 1, shift = 0 } = params as {
    limit?: number;
    steepness?: number;
    shift?: number;
  };
  return {
    activation_type: { text: "swiglu" },
    swiglu_fusion: { int: 1 },
    activation_alpha: { float: steepness },
    activation_beta: { float: shift },
    ...(limit === undefined ? {} : { swiglu_limit: { float: limit } }),
  };
}

/** Values of two arrays in turns. */
function pairs(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(2 * a.length);
  for (let at = 0; at < a.length; at++) {
    both[2 * at] = a[at];
    both[2 * at + 1] = b[at];
  }
  return both;
}

function biasPairs(gate: Traced | null, unit: Traced | null, on: Lowering): Name {
  if (!gate && !unit) return "";
  if (!gate || !unit) return refuseForm(on);
  const [E, F] = gate.type.shape;
  const [gates, units] = [storedOf(gate, on), storedOf(unit, on)];
  const both = { ...gates, read: async () => pairs(await gates.read(), await units.read()) };
  return reordered(on, both, "gate-unit", [E, 2 * F], (values) => values);
}
