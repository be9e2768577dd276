// What goes wrong on a device arrives late and by events: a lost device, memory that ran out, a program that does not
// compile. The first of them is kept and thrown by whatever is asked of the backend next.

/** What a device has reported. */
export interface Failure {
  /** @throws {Error} with the first failure, if there was one, or when the backend is closed. */
  check(action: string): void;
  /** The same as an error to reject with; null when all is well. */
  reason(action: string): Error | null;
  /** From now on everything is refused as closed. */
  close(): void;
}

/** Listens to a device. */
export function watchDevice(device: GPUDevice, name: string): Failure {
  let found: string | null = null;
  device.lost.then(({ reason, message }) => {
    found ??= `the device ${name} was lost (${reason || "unknown reason"}${message ? `: ${message}` : ""})`;
  });
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    const { error } = event as GPUUncapturedErrorEvent;
    found ??= error instanceof GPUOutOfMemoryError
      ? `${name} ran out of memory${error.message ? ` (${error.message})` : ""}`
      : `${name} reported: ${error.message}`;
  });
  function reason(action: string): Error | null {
    return found === null ? null : new Error(`Cannot ${action}: ${found}`);
  }
  return {
    reason,
    check(action) {
      const error = reason(action);
      if (error) throw error;
    },
    close() {
      found = "the WebGPU backend is closed";
    },
  };
}
