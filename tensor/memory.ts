// Memory scopes: a tensor made inside a scope is freed when it closes, unless it was kept; references are not counted.
// A scope belongs to the context of one backend handle (tensor/context.ts), and a closed scope's tensors are refused.
import { type Backend, shapeText } from "../kernels/kernel.ts";
import { contextOf, countBytes, type Scope, type Storage } from "./context.ts";

/** An open scope. Close it with `using` or `[Symbol.dispose]()`. */
export interface Memory extends Disposable {
  /** Hands a tensor on to the scope around this one. Where there is none, {@linkcode release} frees it. */
  keep<T extends Stored>(tensor: T): T;
}

/** A tensor, as far as scopes know it. */
export interface Stored {
  /** Its dimensions. */
  readonly shape: readonly number[];
  /** The memory it shares with its views. */
  readonly storage: Storage;
}

/**
 * Opens a memory scope on a backend: it owns every tensor that is made there until it closes.
 * Scopes close in the reverse order of opening. Asynchronous calls that overlap need a handle each ({@linkcode fork}).
 * @throws {TypeError} when it closes while scopes opened inside it are still open; those close with it.
 * @example
 * ```ts
 * import { add, cpu, memory, tensor } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const before = backend.statistics().usedBytes;
 * {
 *   using _scope = memory(backend);
 *   const sum = add(tensor(backend, [1, 2], [2]), tensor(backend, [3, 4], [2]));
 *   assertEquals(await sum.read(), Float32Array.of(4, 6));
 * } // all three tensors are freed here
 * assertEquals(backend.statistics().usedBytes, before);
 * backend.close();
 * ```
 */
export function memory(backend: Backend): Memory {
  const { scopes } = contextOf(backend);
  const scope: Scope = { owned: new Set() };
  scopes.push(scope);
  return {
    keep(tensor) {
      const { storage } = tensor;
      refuseEnded("keep a tensor", tensor);
      if (storage.scope === scope) give(storage, scopes[scopes.indexOf(scope) - 1]);
      return tensor;
    },
    [Symbol.dispose]() {
      const at = scopes.lastIndexOf(scope);
      if (at < 0) return;
      const closing = scopes.splice(at);
      for (const { owned } of closing) {
        for (const storage of owned) {
          end(storage, "its memory scope is closed; keep it there (scope.keep), or make it where it is used");
        }
        owned.clear();
      }
      if (closing.length > 1) {
        throw new TypeError(
          `Cannot close a memory scope before those opened inside it: ${closing.length - 1} still open; ` +
            "close inner scopes first (`using`), and give each of several calls at once its own handle: fork(backend)",
        );
      }
    },
  };
}

function end(storage: Storage, why: string): void {
  const { segment, restored } = contextOf(storage.backend);
  if (segment && storage.source === null && storage.parameter === null) {
    // What computes activations again may read it: the scope frees a stand-in with the same memory.
    segment.held.add(storage);
    segment.scope.owned.add({ ...storage, scope: segment.scope });
  } else if (!storage.away) {
    storage.backend.free(storage.buffer);
    countBytes(storage.backend, -storage.bytes);
  }
  restored.delete(storage);
  storage.away = false;
  storage.scope = null;
  storage.ended = why;
}

function give(storage: Storage, to: Scope | undefined): void {
  storage.scope?.owned.delete(storage);
  storage.scope = to ?? null;
  to?.owned.add(storage);
}

/** @throws {TypeError} when a tensor's memory has been freed or given away. */
export function refuseEnded(what: string, { shape, storage }: Stored): void {
  if (storage.ended === null) return;
  const name = storage.parameter === null ? "a tensor" : `parameter "${storage.parameter}"`;
  throw new TypeError(
    `Cannot ${what}: ${name} of shape ${shapeText(shape)} is gone: ${storage.ended}`,
  );
}

/** Gives a tensor to the innermost scope of its context. */
export function own({ storage }: Stored): void {
  give(storage, contextOf(storage.backend).scopes.at(-1));
}

/** Takes a tensor out of the scope that owns it: the caller frees its memory. */
export function disown({ storage }: Stored): void {
  give(storage, undefined);
}

/** What `use` makes of a value that nothing reads afterwards, gradients included: its memory is free at once. */
export function spending<T extends Stored>(value: T, use: (value: T) => T): T {
  const result = use(value);
  release(value);
  return result;
}

/** Frees what is still there, each once: for what may be closed twice, and may share parameters. */
export function releaseHeld(held: Iterable<Stored>): void {
  for (const each of held) if (each.storage.ended === null) release(each);
}

/**
 * Frees a tensor or a parameter, and all its views, now.
 * @throws {TypeError} when its memory is gone already.
 * @example
 * ```ts
 * import { cpu, parameter, release } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const { usedBytes } = backend.statistics();
 * const gate = parameter(backend, Float32Array.of(1, 2), [2]);
 * release(gate);
 * assertEquals(backend.statistics().usedBytes, usedBytes);
 * backend.close();
 * ```
 */
export function release(tensor: Stored): void {
  refuseEnded("release a tensor", tensor);
  disown(tensor);
  end(tensor.storage, "it was released");
}
