// Replaces what an engine offers by stand-ins, for tests of engines that offer less. Disposal puts all back.

/** Sets properties of objects until disposed of; `undefined` stands for a property that is not there. */
export function standIn(...changes: readonly (readonly [object, string, unknown])[]): Disposable {
  const before = changes.map(([target, name, value]) => {
    const own = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
    return () => {
      if (own) Object.defineProperty(target, name, own);
      else Reflect.deleteProperty(target, name);
    };
  });
  return { [Symbol.dispose]: () => before.reverse().forEach((put) => put()) };
}

/** An engine with no workers but the web's, or none but these. */
export function webWorkersAlone(worker: unknown = globalThis.Worker): Disposable {
  const { process } = globalThis as { process?: object };
  const changes: [object, string, unknown][] = [[globalThis, "Worker", worker]];
  if (process) changes.push([process, "getBuiltinModule", undefined]);
  return standIn(...changes);
}
