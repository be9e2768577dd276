// The largest calls that training steps make of each kernel, with the arrays they were made on: integers among them (where
// an expert's rows begin, which word a token is) are valid in a step alone, so that steps are run to get them.
import { type ArrayType, type Backend, bytesOf, type Cost, type HostArray } from "../../kernels/kernel.ts";
import { shapeText } from "../../kernels/kernel.ts";
import { type AnyKernel, type Call, costOf, keepingInputs, typesOf, watched } from "../watched.ts";

/** A call with its arrays on the host. */
export interface KeptCall {
  readonly kernel: AnyKernel;
  readonly params: unknown;
  readonly types: readonly ArrayType[];
  readonly cost: Cost;
  readonly inputs: Promise<HostArray[]>;
}

/** As shown: `[1024, 64], [64, 256]`. */
export function callText({ types }: Pick<KeptCall, "types">): string {
  return types.map(({ shape }) => shapeText(shape)).join(", ") || "no arrays";
}

/** Collects the largest call of each kernel among those that `isWanted` says may be kept. */
export function createCollector(isWanted: (cost: Cost, bytes: number) => boolean) {
  const largest = new Map<string, KeptCall>();
  const weight = ({ flop, bytes }: Cost) => flop + 16 * bytes;
  return {
    calls: largest as ReadonlyMap<string, KeptCall>,
    /** To be told of every call, before its arrays are freed. */
    see(backend: Backend, call: Call): void {
      const { kernel, params } = call;
      const [types, cost] = [typesOf(call), costOf(call)];
      const known = largest.get(kernel.name);
      if (known && weight(cost) <= weight(known.cost)) return;
      if (types.some(({ dtype }) => dtype === "f16") || !isWanted(cost, bytesOf(...types))) return;
      const inputs = Promise.all(call.inputs.map((buffer) => backend.read(buffer)));
      // A call that gives way to a larger one is never awaited.
      inputs.catch(() => {});
      largest.set(kernel.name, { kernel, params, types, cost, inputs });
    },
  };
}

/** What collects calls. */
export type Collector = ReturnType<typeof createCollector>;

/** A backend whose calls collectors see; no output takes an input's place there. */
export function collecting(backend: Backend, collectors: readonly Collector[]): Backend {
  return watched(keepingInputs(backend), (call) => {
    for (const each of collectors) each.see(backend, call);
  });
}
