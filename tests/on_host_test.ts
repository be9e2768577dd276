// Solvers that WebGPU has no program for: taken to the host with one wait, with the same results as on the CPU backend,
// and nothing left behind.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { assignBalanced, matchBalanced } from "../routers/parts/assignment.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { memory } from "../tensor/memory.ts";
import { onHost } from "../tensor/on_host.ts";
import { random } from "../tensor/random.ts";
import { apply, carriesGradient, parameter, tensor } from "../tensor/tensor.ts";
import { gpuTest, openGpu } from "./gpu.ts";

const onCpu = await cpu({ threads: 2 });
addEventListener("unload", () => onCpu.close());
const shared = openGpu();

const [T, E, scope] = [90, 7, 30];
const score = random(1).normal(T * E);
const real = Float32Array.from({ length: T }, (_, t) => Number(t % 7 !== 6));

async function match(backend: Backend) {
  using _scope = memory(backend);
  const real_T = tensor(backend, real, [T]);
  const { expert_T, gain_TE } = await matchBalanced(tensor(backend, score, [T, E]), { scope, real_T });
  assertEquals([expert_T.dtype, expert_T.shape, gain_TE.shape], ["i32", [T], [T, E]]);
  assert(expert_T.backend === backend && gain_TE.backend === backend);
  return { expert: await expert_T.read(), gain: await gain_TE.read() };
}

gpuTest("given the same scores, WebGPU has the CPU's experts and gains, bit for bit", async () => {
  const backend = await shared();
  assertEquals(await match(backend), await match(onCpu));
});

gpuTest("both solvers share one read, masked or not, and leave nothing behind", async () => {
  const backend = await shared();
  const { usedBytes } = backend.statistics();
  for (const real_T of [() => undefined, () => tensor(backend, real, [T])]) {
    for (const solve of [assignBalanced, matchBalanced]) {
      using _scope = memory(backend);
      const before = backend.statistics().reads;
      await solve(tensor(backend, score, [T, E]), { scope, real_T: real_T() });
      assertEquals(backend.statistics().reads - before, 1);
    }
  }
  assertEquals(backend.statistics().usedBytes, usedBytes);
});

gpuTest("without being taken to the host, the solvers are refused by name", async () => {
  const backend = await shared();
  using _scope = memory(backend);
  const score_TE = tensor(backend, score, [T, E]);
  const expert_T = tensor(backend, new Int32Array(T), [T]);
  assertThrows(() => apply(kernels.balancedAssignment, [score_TE], { scope }), TypeError, "has no WGSL");
  assertThrows(() => apply(kernels.exchangeGain, [score_TE, expert_T], { scope }), TypeError, "has no WGSL");
});

Deno.test("on the CPU backend it is a plain call, and no gradient passes", async () => {
  const before = onCpu.statistics().usedBytes;
  const weight = parameter(onCpu, Float32Array.of(1, 2, 3), [3]);
  {
    using _scope = memory(onCpu);
    const [square] = await onHost([weight], ([x]) => {
      assert(x.buffer === weight.buffer, "it works on a copy");
      return [multiply(x, x)];
    });
    assertEquals([await square.read(), carriesGradient(square)], [Float32Array.of(1, 4, 9), false]);
  }
  onCpu.free(weight.buffer);
  assertEquals(onCpu.statistics().usedBytes, before);
});
