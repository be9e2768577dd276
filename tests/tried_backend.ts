// A CPU backend opened, used and closed: what it says of itself, and a product that every one of its threads has work in.
import { cpu, type CpuOptions } from "../cpu/backend.ts";
import type { HostArray } from "../kernels/kernel.ts";
import { matmul } from "../kernels/mod.ts";
import { random } from "../tensor/random.ts";

const SIZE = 96;

/** What came of it. */
export interface Tried {
  readonly threads: number;
  readonly heapBytes: number;
  readonly notes: readonly string[];
  readonly product: HostArray;
}

/** Opens a backend and multiplies with it. */
export async function tried(options: CpuOptions): Promise<Tried> {
  using backend = await cpu(options);
  const draw = (name: string) => backend.upload(random(1).split(name).normal(SIZE * SIZE), [SIZE, SIZE]);
  const [product] = backend.run(matmul, [draw("a"), draw("b")], { transposeA: false, transposeB: false });
  const { threads, heapBytes, notes } = backend;
  return { threads, heapBytes, notes, product: await backend.read(product) };
}
