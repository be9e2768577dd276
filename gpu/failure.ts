// What goes wrong on a device arrives late and by events: a lost device, memory that ran out, a program that does not
// compile. The first of them is kept and thrown by whatever is asked of the backend next.

/** What a device has reported. */
export interface Failure {
  /** @throws {Error} with the first failure, if there was one, or when the backend is closed. */
  check(action: string): void;
  /** What to reject with after `error`, which a lost device throws without saying that it is lost. */
  explain(action: string, error: unknown): Promise<Error>;
  /** From now on everything is refused as closed. */
  close(): void;
}

/** How long to wait after a failed call for the event that explains it. */
const PATIENCE_MILLISECONDS = 3000;

/**
 * The same after a read that ends in an `AbortError`, which only a lost device causes here: a browser reports the loss once
 * the device has finished its queued work, which takes a software adapter long.
 */
const PATIENCE_AFTER_ABORT_MILLISECONDS = 60_000;

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
  return {
    async explain(action, error) {
      const aborted = error instanceof DOMException && error.name === "AbortError";
      const until = performance.now() + (aborted ? PATIENCE_AFTER_ABORT_MILLISECONDS : PATIENCE_MILLISECONDS);
      do {
        await new Promise((resolve) => setTimeout(resolve, 0));
      } while (found === null && performance.now() < until);
      found ??= `${name} reported: ${error instanceof Error ? error.message : error}`;
      return new Error(`Cannot ${action}: ${found}`, { cause: error });
    },
    check(action) {
      if (found !== null) throw new Error(`Cannot ${action}: ${found}`);
    },
    close() {
      found = "the WebGPU backend is closed";
    },
  };
}
