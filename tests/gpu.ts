// WebGPU for tests: backends opened once, and tests that say why they are skipped where there is no adapter. On a
// machine that calls itself CI, a missing adapter is a failure.
import { adapterFacts } from "../gpu/adapter.ts";
import { webgpu, type WebgpuBackend, type WebgpuOptions } from "../gpu/backend.ts";

/** What the adapter is; null when there is none. */
export const adapter = await adapterFacts();

const skipped = adapter === null && Deno.env.get("CI") !== "true";
if (skipped) {
  console.log(
    "WebGPU tests are skipped: there is no adapter. `deno task test` fetches one; see CONTRIBUTING.md.",
  );
}

/** A test that needs an adapter. */
export function gpuTest(name: string, body: () => void | Promise<void>): void {
  Deno.test({ name, ignore: skipped, fn: body, sanitizeResources: false, sanitizeOps: false });
}

const opened: Promise<WebgpuBackend>[] = [];
addEventListener("unload", () => {
  for (const backend of opened) void backend.then((one) => one.close());
});

/** Opens a backend when it is first asked for. */
export function openGpu(options: WebgpuOptions = {}): () => Promise<WebgpuBackend> {
  let backend: Promise<WebgpuBackend> | undefined;
  return () => {
    if (!backend) opened.push(backend = webgpu(options));
    return backend;
  };
}
