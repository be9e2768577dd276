// Products and MoE blocks against the peak measured on the same adapter, and the same block in PyTorch where a Python with
// CUDA is at hand.
import type { WebgpuBackend } from "../../gpu/backend.ts";
import { createLayerSubject, type LayerSize, layerText, repeatedNormal } from "../layer.ts";
import { expertsOf } from "../loads.ts";
import { Refused, start } from "../peers/process.ts";
import { productSubject } from "../products.ts";
import { bestPerCall } from "../repeat.ts";
import type { Roof } from "../roofs/roof.ts";
import type { Plan } from "./plan.ts";
import type { GpuCheck, Speed } from "./schema.ts";

const WINDOWS = 3;
const WINDOW_SECONDS = 0.1;
/** How long PyTorch may take for one answer; its first call loads CUDA. */
const PATIENCE_SECONDS = 60;
/** Values that tokens and weights are made of, again and again, as in `repeatedNormal`. */
const LISTED = 65521;
/** Whose loss differs from ours by more computes another block. */
const LOSS_APART = 1e-4;

function speed(name: string, flop: number, seconds: number, roof: Roof): Speed {
  return { name, flop, seconds, ofPeak: flop / seconds / roof.flopPerSecond };
}

/** Square products, each checked at 64 places before it is timed. */
export async function timeProducts(backend: WebgpuBackend, roof: Roof, plan: Plan): Promise<Speed[]> {
  const found: Speed[] = [];
  for (const shape of plan.products) {
    plan.say(`The product ${shape.name} ...`);
    using subject = productSubject(backend, shape);
    await subject.check();
    const seconds = await bestPerCall(backend, subject.run, WINDOWS, WINDOW_SECONDS);
    found.push(speed(shape.name, subject.flop, seconds, roof));
  }
  return found;
}

/** Blocks, forward and backward. */
export async function timeBlocks(backend: WebgpuBackend, roof: Roof, plan: Plan): Promise<Speed[]> {
  const found: Speed[] = [];
  for (const size of plan.blocks) {
    const name = layerText(size);
    plan.say(`The MoE block ${name} ...`);
    using block = createLayerSubject(backend, size, { skew: 0 });
    await block.run();
    const seconds = await bestPerCall(backend, block.run, WINDOWS, WINDOW_SECONDS);
    found.push(speed(name, block.flop, seconds, roof));
  }
  return found;
}

/** The same blocks in PyTorch on CUDA; null, and why, where there is none. */
export async function timePytorch(
  backend: WebgpuBackend,
  roof: Roof,
  plan: Plan,
): Promise<GpuCheck["pytorch"]> {
  plan.say(`PyTorch of ${plan.python} ...`);
  try {
    const program = decodeURIComponent(new URL("pytorch.py", import.meta.url).pathname);
    const running = await start({ program: plan.python, args: [program] }, PATIENCE_SECONDS);
    try {
      const lossOf = async (size: LayerSize) => {
        const expert = [...expertsOf({ ...size, skew: 0 })];
        const values = [...repeatedNormal(LISTED)];
        return await running.ask({ ...size, expert, values }, PATIENCE_SECONDS);
      };
      const [first] = plan.blocks;
      const { loss } = await lossOf(first);
      using block = createLayerSubject(backend, first, { skew: 0 });
      const ours = await block.loss();
      if (!(Math.abs(Number(loss) - ours) <= LOSS_APART * Math.abs(ours))) {
        throw new Refused(`its loss of the block ${layerText(first)} is ${loss}, and ours ${ours}`);
      }
      const blocks: Speed[] = [];
      for (const size of plan.blocks) {
        const { seconds, formulation } = await lossOf(size);
        const { T, D, F, K } = size;
        blocks.push(
          speed(`${layerText(size)}, ${formulation}`, 12 * T * K * D * F, Number(seconds), roof),
        );
      }
      return { about: running.about, loss: Number(loss), blocks };
    } finally {
      await running.end();
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    plan.leaveOut(`the same block in PyTorch: ${error.message}`);
    return null;
  }
}
