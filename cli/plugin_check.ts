// The quick part of the router contract, for routers that a command brings: one batch in training and in evaluation, before
// anything is trained. The whole contract is `deno task check:router`.
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { findExperts, parseExpertOptions } from "../experts/registry.ts";
import { asAuthored } from "../moe/author.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { tensor } from "../tensor/tensor.ts";
import { checkContract } from "../training/contract.ts";
import { usual } from "../training/run_schema.ts";

/** Sizes of the batch that is tried: small, and unlike each other. */
const [B, L, D, E, F, V] = [3, 16, 32, 8, 16, 100];

/**
 * Routes one batch with a router's defaults and holds the result against what the router declares.
 * @returns One sentence that names the router, the field, what was found and what is expected; null where all is well, and
 * where the router refuses the sizes tried here, which is no fault.
 */
export async function mistakeIn(plugin: AnyRouterPlugin): Promise<string | null> {
  const backend = await cpu({ threads: 1 });
  try {
    const dims = { D, E, V, length: L, tokenCount_V: new Int32Array(V).fill(1) };
    const init = createInit(backend, random(0));
    const router = asAuthored(
      `router "${plugin.name}"`,
      () => plugin.create(dims, parseOptions(plugin), init),
    );
    for (const training of [true, false]) await checkBatch(plugin, router, backend, training);
    return null;
  } catch (error) {
    // Its author's own refusal.
    if (!(error instanceof Error) || error.cause instanceof RangeError) return null;
    return error.message;
  } finally {
    backend.close();
  }
}

async function checkBatch(
  plugin: AnyRouterPlugin,
  router: Router,
  backend: Backend,
  training: boolean,
): Promise<void> {
  using _scope = memory(backend);
  const T = B * L;
  const called = `router "${plugin.name}"`;
  const kind = findExperts(usual.experts);
  const expertOptions = parseExpertOptions(kind);
  const experts = kind.create({ D, F, E }, expertOptions, createInit(backend, random(1)));
  const layer = createMoeLayer({ D, E, router, experts, called });
  const { routing } = await layer.apply(tensor(backend, random(2).normal(T * D), [T, D]), {
    training,
    step: 0,
    random: random(3),
    tokenId_T: tensor(backend, Int32Array.from({ length: T }, (_, t) => t % V), [T]),
    sequences: equalSequences(B, L),
  });
  const [token_N, wanted_N, expert_N] = await Promise.all(
    [routing.token_N, routing.wanted_N, routing.expert_N].map((each) => each.read()),
  ) as Int32Array[];
  if (!training) return;
  const routerOptions = parseOptions(plugin);
  const spec = { kind: "moe", router: plugin, routerOptions, experts: kind, expertOptions, E, F } as const;
  checkContract({ layer: 0, spec, routing, T, token_N, wanted_N, expert_N });
}
