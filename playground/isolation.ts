// Threads on hosts that do not send the two headers they need: a service worker (isolate.ts) adds them, to every load of the
// page but the first, which therefore loads once more.
/// <reference lib="dom" />

/** Has the page loaded anew with the headers, where that helps. @param isIdle Whether nothing would be lost. */
export async function isolatePage(isIdle: () => boolean): Promise<void> {
  // From a disk, and from http elsewhere than on this machine, there are no service workers.
  const workers = location.protocol.startsWith("http") ? navigator.serviceWorker : undefined;
  if (globalThis.crossOriginIsolated || !workers || workers.controller) return;
  const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  try {
    await workers.register("isolate.js");
    await workers.ready;
  } catch (error) {
    return console.warn(`Cannot add the headers that threads need: ${error}`);
  }
  // A page that was loaded anew already would be so for ever.
  if (load.type !== "reload" && isIdle()) location.reload();
}
