// Whether a GPU gives the CPU's losses: of one MoE block, and of training steps, in full and in half precision.
import type { CpuBackend } from "../../cpu/backend.ts";
import type { WebgpuBackend } from "../../gpu/backend.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { createLayerSubject, type LayerSize, layerText } from "../layer.ts";
import type { Plan } from "./plan.ts";
import type { Compared } from "./schema.ts";
import { configAt, trainSome } from "./training.ts";

const precisions = ["full", "half"] as const;

/**
 * Apart beyond which losses are reported. In full precision what rounding does to a loss grows while training goes on, and a
 * token on the edge between two experts may fall to the other; 16-bit operands of experts round 2^13 times as coarsely.
 */
const allowed = { full: 1e-3, half: 1e-2 };

function compared(
  name: string,
  precision: "full" | "half",
  cpu: { losses: readonly number[]; seconds: number },
  gpu: { losses: readonly number[]; seconds: number },
): Compared {
  const apart = Math.max(...cpu.losses.map((loss, at) => Math.abs(gpu.losses[at] - loss) / Math.abs(loss)));
  return {
    name,
    precision,
    cpuLosses: cpu.losses,
    gpuLosses: gpu.losses,
    apart,
    allowed: allowed[precision],
    cpuSeconds: cpu.seconds,
    gpuSeconds: gpu.seconds,
  };
}

/** The same block on both; the CPU always computes in full precision. */
export async function compareBlock(
  cpu: CpuBackend,
  gpu: WebgpuBackend,
  size: LayerSize,
): Promise<Compared[]> {
  const lossOf = async (backend: Backend, precision: "full" | "half") => {
    using block = createLayerSubject(backend, size, { skew: 0.5 }, precision);
    await block.loss();
    const start = performance.now();
    return { losses: [await block.loss()], seconds: (performance.now() - start) / 1000 };
  };
  const wanted = await lossOf(cpu, "full");
  const found: Compared[] = [];
  for (const precision of precisions) {
    const name = `MoE block ${layerText(size)}`;
    found.push(compared(name, precision, wanted, await lossOf(gpu, precision)));
  }
  return found;
}

/** Training of each size on both. */
export async function compareSteps(cpu: CpuBackend, gpu: WebgpuBackend, plan: Plan): Promise<Compared[]> {
  const found: Compared[] = [];
  for (const size of plan.sizes) {
    if (plan.isLate()) {
      plan.leaveOut(`training at the size ${size.name}: there was no time left`);
      continue;
    }
    plan.say(`${plan.steps} steps at the size ${size.name} on the CPU and on the GPU ...`);
    const wanted = await trainSome(cpu, configAt(size, "switch"), size.V, plan.steps);
    for (const precision of precisions) {
      const got = await trainSome(gpu, configAt(size, "switch", precision), size.V, plan.steps);
      found.push(compared(`switch, size ${size.name}`, precision, wanted, got));
    }
  }
  return found;
}
