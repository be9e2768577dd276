// Recorded decisions: what a router decided in one run, decided again in another, whatever the tokens are now. For finding
// out whether two machines, backends or versions differ in routing or in arithmetic. Weights come back as constants.
import * as z from "zod";
import { inPlaceOf } from "../tensor/plugins.ts";
import { tensor } from "../tensor/tensor.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import type { RouterPlugin } from "../routers/router.ts";

/** What one layer decided in one call: lists of N assignments. Plain data: it survives JSON, every bit of it. */
export interface Decisions {
  /** Tokens T of the call. */
  readonly tokens: number;
  /** Token of each assignment. */
  readonly token: readonly number[];
  /** Expert of each assignment after capacity; -1 = none. */
  readonly expert: readonly number[];
  /** Expert of each assignment before capacity; -1 = none. */
  readonly wanted: readonly number[];
  /** Weight of each assignment. */
  readonly weight: readonly number[];
  /** K where assignments are laid out [T, K]; null for other layouts. */
  readonly choices: number | null;
}

/** What a model's routers decided. */
export interface Recording {
  /** K of the router that was recorded. */
  readonly expertsPerToken: number;
  /** By layer in the order they were made, then by call. */
  readonly layers: readonly (readonly Decisions[])[];
}

/**
 * Wraps a router so that all it decides is written down.
 * @returns The wrapped plugin, and what to call for the recording made so far.
 * @example
 * ```ts
 * import { cpu, createInit, equalSequences, forcedBalance, parseOptions, random } from "@switchyard/moe";
 * import { recordDecisions, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const { plugin, recording } = recordDecisions(forcedBalance);
 * const init = createInit(backend, random(0));
 * const router = await plugin.create({ D: 2, E: 2, V: 9 }, parseOptions(plugin), init);
 * const tokenId_T = tensor(backend, Int32Array.of(4, 4, 4), [3]);
 * const step = { training: false, step: 0, random: random(1), tokenId_T, sequences: equalSequences(1, 3) };
 * await router.route(tensor(backend, [1, 2, 3, 4, 5, 6], [3, 2]), step);
 * assertEquals(recording().layers[0][0].expert, [0, 1, 0]);
 * backend.close();
 * ```
 */
export function recordDecisions(
  plugin: AnyRouterPlugin,
): { readonly plugin: AnyRouterPlugin; recording(): Recording } {
  const layers: Decisions[][] = [];
  let expertsPerToken = 0;
  return {
    recording: () => ({ expertsPerToken, layers: layers.map((calls) => [...calls]) }),
    plugin: inPlaceOf(plugin, {
      create(dims, options, init) {
        expertsPerToken = plugin.expertsPerToken(options);
        const router = plugin.create(dims, options, init);
        const calls: Decisions[] = [];
        layers.push(calls);
        return inPlaceOf(router, {
          async route(x_TD, step) {
            const routing = await router.route(x_TD, step);
            if (routing.mixture) {
              throw new TypeError(
                `Cannot record router "${plugin.name}": it mixes tokens and sends none anywhere`,
              );
            }
            calls.push({
              tokens: x_TD.shape[0],
              token: Array.from(await routing.token_N.read()),
              expert: Array.from(await routing.expert_N.read()),
              wanted: Array.from(await routing.wanted_N.read()),
              weight: Array.from(await routing.weight_N.read()),
              choices: routing.choices,
            });
            return routing;
          },
        });
      },
    }),
  };
}

/**
 * A router that decides what was recorded, call by call, layer by layer. Evaluation gives the recorded run's losses bit
 * for bit, given its other weights; so does training of a router without gate. A gate that learned through its weights
 * passed a gradient on that a constant does not, so its training is reproduced up to the first update.
 * @throws {RangeError} from its `create` and `route` when more layers or calls are asked for than were recorded, or
 * for other numbers of tokens or experts.
 * @example
 * ```ts
 * import { replay } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const call = { tokens: 2, token: [0, 1], expert: [1, -1], wanted: [1, 1], weight: [0.5, 0.7], choices: 1 };
 * const plugin = replay({ expertsPerToken: 1, layers: [[call]] });
 * assertEquals(plugin.name, "replay");
 * ```
 */
export function replay(recording: Recording): RouterPlugin<Record<string, never>> {
  let made = 0;
  return {
    name: "replay",
    about: "Decides what was recorded from another router.",
    paper: {
      title: "Switchyard",
      year: 2025,
      identifier: "unpublished",
      equations: "nothing: recorded expert indices and weights",
    },
    traits: { causal: true, balancedBy: "nothing", perToken: "varies", gradient: "none" },
    options: z.strictObject({}),
    expertsPerToken: () => recording.expertsPerToken,
    create({ E }) {
      const layer = made++;
      const calls = recording.layers[layer];
      if (!calls) {
        throw new RangeError(
          `Cannot replay layer ${
            layer + 1
          }: ${recording.layers.length} were recorded, and each replay is for one model`,
        );
      }
      let next = 0;
      return {
        params: {},
        route(x_TD) {
          const call = next++;
          const found = calls[call];
          const [T] = x_TD.shape;
          if (!found) {
            throw new RangeError(
              `Cannot replay call ${call + 1} of layer ${layer + 1}: ${calls.length} were recorded`,
            );
          }
          if (found.tokens !== T || found.wanted.some((expert) => expert >= E)) {
            throw new RangeError(
              `Cannot replay call ${call + 1} of layer ${
                layer + 1
              } for ${T} tokens and ${E} experts: it was recorded ` +
                `for ${found.tokens} tokens and experts up to ${
                  found.wanted.reduce((most, each) => Math.max(most, each))
                }`,
            );
          }
          const N = found.token.length;
          const whole = (values: readonly number[]) => tensor(x_TD.backend, Int32Array.from(values), [N]);
          return {
            token_N: whole(found.token),
            expert_N: whole(found.expert),
            wanted_N: whole(found.wanted),
            weight_N: tensor(x_TD.backend, Float32Array.from(found.weight), [N]),
            choices: found.choices,
            losses: {},
          };
        },
      };
    },
  };
}
