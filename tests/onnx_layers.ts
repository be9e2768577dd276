// A layer of any router and experts, with weights that decide, and its export in onnxruntime-web.
import { encodeOnnx, openOnnx } from "../formats/mod.ts";
import {
  type AnyExpertPlugin,
  type AnyRouterPlugin,
  cpu,
  createInit,
  createMoeLayer,
  equalSequences,
  type Init,
  memory,
  type MoeLayer,
  normal,
  parseExpertOptions,
  parseOptions,
  random,
  tensor,
} from "../mod.ts";
import { exportLayer, type Target } from "../models/onnx/mod.ts";

const [D, F, E, V, T] = [32, 24, 8, 100, 37];
export const backend = await cpu({ threads: 1 });

/** Gates and biases that start at 0 decide nothing, so that every weight is drawn. */
function drawn(init: Init): Init {
  return {
    ...init,
    parameter: (name, shape, _fill, options) => init.parameter(name, shape, normal(0.3), options),
    part: (name) => drawn(init.part(name)),
  };
}

/** A layer of a router and experts with options. */
export function layerOf(
  [router, routerOptions]: readonly [AnyRouterPlugin, unknown],
  [experts, expertOptions]: readonly [AnyExpertPlugin, unknown],
): MoeLayer {
  const init = drawn(createInit(backend, random(3)));
  const tokenCount_V = new Int32Array(V).fill(1);
  return createMoeLayer({
    D,
    E,
    router: router.create(
      { D, E, V, tokenCount_V },
      parseOptions(router, routerOptions),
      init.part("router"),
    ),
    experts: experts.create({ D, F, E }, parseExpertOptions(experts, expertOptions), init.part("experts")),
  });
}

/** How far a layer's export is from the layer. */
export interface LayerAgreement {
  /** Largest difference of an output over the largest output. */
  readonly outputs: number;
  readonly weights: number;
  /** Choices that differ. */
  readonly different: number;
  /** Choices that had no room. */
  readonly dropped: number;
}

/** Exports a layer, runs it, and compares. */
export async function agreement(layer: MoeLayer, target: Target): Promise<LayerAgreement> {
  using _scope = memory(backend);
  const x = random(9).normal(T * D);
  const { y_TD, routing } = await layer.apply(tensor(backend, x, [T, D]), {
    training: false,
    step: 0,
    random: random(0),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
  });
  await using session = await openOnnx(await encodeOnnx(await exportLayer(layer, backend, { target })));
  const found = await session.run({ x: { shape: [T, D], values: x } });
  const apart = (ours: ArrayLike<number>, theirs: ArrayLike<number | bigint>) =>
    Array.from(ours, (value, at) => Math.abs(value - Number(theirs[at])));
  const y = await y_TD.read();
  const [expert_N, wanted_N] = await Promise.all([routing.expert_N.read(), routing.wanted_N.read()]);
  const difference = Math.max(...apart(y, found.y.values));
  return {
    outputs: difference === 0 ? 0 : difference / Math.max(...y.map(Math.abs)),
    weights: Math.max(...apart(await routing.weight_N.read(), found.weights.values)),
    different: apart(expert_N, found.experts.values).filter((difference) => difference !== 0).length,
    dropped: expert_N.filter((expert, at) => expert !== wanted_N[at]).length,
  };
}
