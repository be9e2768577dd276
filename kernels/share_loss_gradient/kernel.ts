// Gradient of share_loss for the probabilities: its slope for every real token of a scope, times the scope's gradient.
import { type ArrayType, bytesOf, type Case, f32, type Kernel, match } from "../kernel.ts";
import { forEach } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Tokens of one scope. */
export interface ShareLossGradientParams {
  readonly scope: number;
}

function bind(inputs: readonly ArrayType[], { scope }: ShareLossGradientParams) {
  if (inputs.length !== 2 && inputs.length !== 3) {
    throw new TypeError(`Cannot run share_loss_gradient: it takes 2 or 3 inputs, not ${inputs.length}`);
  }
  const given = inputs.length === 2 ? ["f32 SE", "f32 S"] as const : ["f32 SE", "f32 S", "f32 T"] as const;
  const bound = match("share_loss_gradient", inputs, given);
  const { S, T = S * scope } = bound;
  if (!Number.isInteger(scope) || scope < 1 || T !== S * scope) {
    throw new RangeError(
      `Cannot run share_loss_gradient: ${T} tokens are not ${S} scopes of ${scope}, a whole number from 1`,
    );
  }
  return { ...bound, T };
}

export const shareLossGradient: Kernel<ShareLossGradientParams> = {
  name: "share_loss_gradient",
  about: "dp[t,e] = g[s] slope[s,e] times real[t] if there is a mask, s the scope of t.",
  outputs(inputs, params) {
    const { T, E } = bind(inputs, params);
    return [f32(T, E)];
  },
  reference([slope, g, real], [dp], types, params) {
    const { T, E } = bind(types, params);
    for (let t = 0; t < T; t++) {
      const s = Math.floor(t / params.scope);
      for (let e = 0; e < E; e++) dp[t * E + e] = g[s] * slope[s * E + e] * (real ? real[t] : 1);
    }
  },
  wasm: "shareLossGradient",
  cpu(inputs, params) {
    const { T, E } = bind(inputs, params);
    const masked = Number(inputs.length === 3);
    return {
      units: T,
      grain: Math.max(1, Math.floor(16384 / Math.max(4, E))),
      // The program finds its whole numbers behind room for four addresses.
      integers: [...(masked ? [] : [0]), params.scope, E, masked],
    };
  },
  wgsl: [program],
  gpu(inputs, params, facts) {
    const { T, E } = bind(inputs, params);
    const masked = inputs.length === 3;
    return {
      passes: [{
        program,
        reads: [0, 1, masked ? 2 : 1],
        constants: { MASKED: Number(masked) },
        integers: [T * E, E, params.scope],
        workgroups: forEach(T * E, facts),
      }],
    };
  },
  cost(inputs, params) {
    const { T, E } = bind(inputs, params);
    return { flop: 2 * T * E, bytes: bytesOf(...inputs, f32(T, E)) };
  },
  rounding: () => 2,
  cases: [
    gradientCase("one scope", 1, 8, 50),
    gradientCase("several scopes, odd size", 4, 7, 15),
    gradientCase("padding", 3, 9, 20, true),
    gradientCase("many tokens", 2, 33, 700),
    gradientCase("one token, one group", 1, 1, 1),
    gradientCase("no groups", 2, 0, 4),
    gradientCase("no scopes", 0, 3, 5),
  ],
};

function gradientCase(
  about: string,
  S: number,
  E: number,
  scope: number,
  masked = false,
): Case<ShareLossGradientParams> {
  const mask = { type: f32(S * scope), fill: { kind: "values", values: [1, 0, 1, 1] } } as const;
  return {
    about,
    inputs: [
      { type: f32(S, E), fill: { kind: "normal" } },
      { type: f32(S), fill: { kind: "normal" } },
      ...(masked ? [mask] : []),
    ],
    params: { scope },
  };
}
