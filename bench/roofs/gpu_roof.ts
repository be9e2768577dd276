// A GPU's limits, read as those of the CPU are: multiply-adds in registers alone, and bytes two arrays in and one out.
// Both are kernels that run like any other, so a reading has the same queue and the same wait in it as what it judges.
import { type Backend, f32, type Kernel } from "../../kernels/kernel.ts";
import { binary } from "../../kernels/binary/kernel.ts";
import { grid } from "../../kernels/parts/grid.ts";
import program from "./gpu_peak.wgsl" with { type: "text" };
import { workingSets } from "./peak.ts";
import { secondsPerCall } from "../repeat.ts";
import { bytesText } from "./roof.ts";

const INVOCATIONS = 64;
const WORKGROUPS = 1024;
/** Fewer than software adapters stop loops at without a word (65535). */
const ROUNDS = 1024;
const VECTORS = 8;
/** Of four each, a multiplication and an addition. */
const FLOP_OF_ROUND = VECTORS * 4 * 2;
const WINDOW_SECONDS = 0.1;

// Values that neither grow nor fade: from anywhere they go to 2.
const [FACTOR, OFFSET] = [0.5, 1];
const LIMIT = OFFSET / (1 - FACTOR);

/** Multiply-adds for their own sake, on a GPU only. */
export const gpuPeak: Kernel<null> = {
  name: "gpu_peak",
  about: "Sums of 32 numbers after many rounds of a = a / 2 + 1.",
  outputs: () => [f32(WORKGROUPS * INVOCATIONS)],
  reference(_, [y]) {
    for (let at = 0; at < y.length; at++) {
      for (let vector = 0; vector < VECTORS; vector++) {
        y[at] += 4 * ((at % INVOCATIONS + vector - LIMIT) * FACTOR ** ROUNDS + LIMIT);
      }
    }
  },
  wasm: "",
  cpu() {
    throw new TypeError("Cannot run gpu_peak on the CPU: bench/roofs/peak.ts reads its limits");
  },
  wgsl: [program],
  gpu: (_inputs, _params, facts) => ({
    passes: [{ program, integers: [ROUNDS], floats: [FACTOR, OFFSET], workgroups: grid(WORKGROUPS, facts) }],
  }),
  cost: () => ({
    flop: FLOP_OF_ROUND * ROUNDS * WORKGROUPS * INVOCATIONS,
    bytes: 4 * WORKGROUPS * INVOCATIONS,
  }),
  rounding: () => 64,
  cases: [{ about: "the one there is", inputs: [], params: null }],
};

/** One reading of every limit, by name. */
export async function readGpuRoofs(backend: Backend): Promise<Record<string, Record<string, number>>> {
  const found: Record<string, Record<string, number>> = {};
  const { flop } = gpuPeak.cost([], null);
  const seconds = await secondsPerCall(
    backend,
    () => backend.free(backend.run(gpuPeak, [], null)[0]),
    WINDOW_SECONDS,
  );
  found["multiply-add"] = { flopPerSecond: flop / seconds };
  for (const bytes of workingSets) {
    const count = Math.floor(bytes / 12);
    const inputs = [0, 1].map(() => backend.upload(new Float32Array(count).fill(1), [count]));
    const add = () => backend.free(backend.run(binary, inputs, { op: "add" })[0]);
    add();
    const seconds = await secondsPerCall(backend, add, WINDOW_SECONDS);
    found[bytesText(bytes)] = { bytesPerSecond: 12 * count / seconds };
    for (const input of inputs) backend.free(input);
  }
  return found;
}
