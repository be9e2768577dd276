// How a command is stopped: by Ctrl-C, by being told to end, or by a terminal that closes. Runs under way then save what they
// have; before the first of them the command leaves at once.

/** What a stop does and whether there is anything to wait for. */
export interface Stopping {
  /** Whether runs are under way, which then save and throw {@linkcode Stopped}. */
  hasBegun(): boolean;
  /** Says how to go on, and leaves with a status. */
  leave(status: number): never;
}

/** Aborted by a stop. A second time nothing is waited for. */
export function stopSignal({ hasBegun, leave }: Stopping): AbortSignal {
  const controller = new AbortController();
  const usual = { SIGINT: 130, ...(Deno.build.os === "windows" ? {} : { SIGTERM: 143, SIGHUP: 129 }) };
  for (const [name, status] of Object.entries(usual)) {
    Deno.addSignalListener(name as Deno.Signal, () => {
      if (controller.signal.aborted || !hasBegun()) leave(status);
      controller.abort(new Stopped(() => leave(status)));
    });
  }
  return controller.signal;
}

/** Waits for Ctrl-C, for whoever looks at a page that is served. */
export async function untilStopped(signal: AbortSignal): Promise<void> {
  console.log("The report is served until Ctrl-C.");
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** Why runs ended early, and how to leave. */
export class Stopped extends Error {
  constructor(readonly leave: () => never) {
    super("stopped");
  }
}
