// Memory scopes: what was made inside a scope is freed when it closes, except what was kept. Nobody counts references.
// The innermost open scope is a module-level fact, so one program runs one chain of scopes at a time.
import type { Tensor } from "./tensor.ts";

/** An open scope. Close it with `using` or `[Symbol.dispose]()`. */
export interface Memory extends Disposable {
  /** Hands a tensor on to the scope around this one (or to nobody, who then frees it by hand). */
  keep<T extends Tensor>(tensor: T): T;
}

interface OpenScope {
  readonly owned: Set<Tensor>;
}

const open: OpenScope[] = [];

/**
 * Opens a memory scope.
 * @example
 * ```ts
 * import { add, cpu, memory, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const before = backend.statistics().usedBytes;
 * {
 *   using _scope = memory();
 *   const sum = add(tensor(backend, [1, 2], [2]), tensor(backend, [3, 4], [2]));
 *   assertEquals(await sum.read(), Float32Array.of(4, 6));
 * } // all three tensors are freed here
 * assertEquals(backend.statistics().usedBytes, before);
 * backend.close();
 * ```
 */
export function memory(): Memory {
  const scope: OpenScope = { owned: new Set() };
  open.push(scope);
  return {
    keep(tensor) {
      const owner = tensor.root;
      if (scope.owned.delete(owner)) open[open.indexOf(scope) - 1]?.owned.add(owner);
      return tensor;
    },
    [Symbol.dispose]() {
      const at = open.lastIndexOf(scope);
      if (at < 0) return;
      // Scopes left open inside this one (after an error, say) close with it.
      for (const inner of open.splice(at)) {
        for (const tensor of inner.owned) tensor.backend.free(tensor.buffer);
        inner.owned.clear();
      }
    },
  };
}

/** Registers a new tensor with the innermost scope. */
export function own(tensor: Tensor): void {
  open.at(-1)?.owned.add(tensor);
}

/** Takes a tensor out of whatever scope owns it: somebody else frees its memory. */
export function disown(tensor: Tensor): void {
  for (let at = open.length - 1; at >= 0; at--) {
    if (open[at].owned.delete(tensor.root)) return;
  }
}

/** What `use` makes of a value that nothing reads afterwards, gradients included: its memory is free at once. */
export function spending(value: Tensor, use: (value: Tensor) => Tensor): Tensor {
  const result = use(value);
  release(value);
  return result;
}

/** Frees a tensor now; whatever scope owns it forgets it. */
export function release(tensor: Tensor): void {
  disown(tensor);
  tensor.backend.free(tensor.root.buffer);
}
