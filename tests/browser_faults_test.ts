// What browsers refuse, with stand-ins for an engine that does: large shared memories, workers, isolation, adapters. Each
// time the backend does what it can and says what falls short and why. In a real browser: tests/long/browser_test.ts.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { openDevice } from "../cli/device.ts";
import { cpu } from "../cpu/backend.ts";
import { noteFailure, openRoll } from "../cpu/roll.ts";
import { startThread, threadProgram, type ThreadStart } from "../cpu/threads.ts";
import { adapterFacts } from "../gpu/adapter.ts";
import { webgpu } from "../gpu/backend.ts";
import { matmul } from "../kernels/mod.ts";
import { openedByWorker } from "./opened_by_worker.ts";
import { standIn, webWorkersAlone } from "./stand_in.ts";
import { tried } from "./tried_backend.ts";

const { product: right } = await tried({ threads: 1 });

/** An engine that grants memories up to a maximum, shared ones up to another. */
function memoryOf(most: { readonly shared: number; readonly own: number }): Disposable {
  const { Memory } = WebAssembly;
  class Stingy extends Memory {
    constructor(wanted: WebAssembly.MemoryDescriptor) {
      if (wanted.maximum! > (wanted.shared ? most.shared : most.own)) throw new RangeError("Out of memory");
      super(wanted);
    }
  }
  return standIn([WebAssembly, "Memory", Stingy]);
}

Deno.test("an engine that refuses a shared memory of 4 GiB is asked for less, and the heap ends there", async () => {
  using _engine = memoryOf({ shared: 16384, own: 65536 });
  const { threads, heapBytes, notes, product } = await tried({ threads: 2 });
  assertEquals([threads, heapBytes], [2, 2 ** 30]);
  assertEquals(notes, [
    "arrays may take 1 GiB together instead of 4 GiB: this engine refuses a memory with a maximum of 2 GiB (Out of memory)",
  ]);
  assertEquals(product, right);
  using backend = await cpu({ threads: 1 });
  const long = backend.upload(new Float32Array(20_000), [20_000, 1]);
  const wide = backend.alias(long, [1, 20_000]);
  const params = { transposeA: false, transposeB: false };
  const refusal = "this WebAssembly heap ends at 1073741824 bytes";
  assertThrows(() => backend.run(matmul, [long, wide], params), RangeError, refusal);
});

Deno.test("a heap that the system lets grow no further says where it stopped", async () => {
  using backend = await cpu({ threads: 1 });
  using _system = standIn([WebAssembly.Memory.prototype, "grow", () => {
    throw new RangeError("failed to grow memory");
  }]);
  const values = new Float32Array(2 ** 21);
  const refusal = "the system refuses memory past 4194304 bytes";
  assertThrows(() => backend.upload(values, [values.length]), RangeError, refusal);
});

Deno.test("an engine that shares no memory of any size computes on one thread", async () => {
  using _engine = memoryOf({ shared: 0, own: 65536 });
  const { threads, notes, product } = await tried({ threads: 3 });
  assertEquals(threads, 1);
  assertEquals(notes, [
    "1 thread instead of 3: this engine refuses shared memory, even with a maximum of 256 MiB (Out of memory)",
  ]);
  assertEquals(product, right);
  await assertRejects(
    () => cpu({ shared: true }),
    Error,
    "Cannot share memory between threads: this engine refuses",
  );
});

Deno.test("an engine without memory is refused in one sentence", async () => {
  using _engine = memoryOf({ shared: 0, own: 0 });
  await assertRejects(
    () => cpu({ threads: 1 }),
    Error,
    "Cannot open the CPU backend: this engine refuses memory, even with a maximum of 256 MiB (Out of memory)",
  );
});

/** A worker whose program a Content Security Policy forbids: an event without a word comes, as in Chromium and Firefox. */
class Forbidden extends EventTarget {
  onerror: ((event: Event) => void) | null = null;
  postMessage() {
    setTimeout(() => this.onerror?.(new Event("error")), 0);
  }
}

Deno.test("a page that forbids workers from a Blob computes on one thread and says what to allow", async () => {
  using _page = webWorkersAlone(Forbidden);
  const { threads, notes: [note, ...more], product } = await tried({ threads: 2 });
  assertEquals([threads, more], [1, []]);
  assertMatch(note, /^1 thread instead of 2: .*Content Security Policy .*worker-src blob:/);
  assertEquals(product, right);
});

Deno.test("an engine whose workers cannot be made says its own reason", async () => {
  using _page = webWorkersAlone(() => {});
  const { threads, notes: [note], product } = await tried({ threads: 4 });
  assertEquals(threads, 1);
  assertStringIncludes(note, "1 thread instead of 4: a worker could not be started (");
  assertEquals(product, right);
});

Deno.test("threads are counted as they come up: of four, one is refused", async () => {
  let asked = 0;
  const third = (start: ThreadStart) => {
    if (++asked === 2) throw new Error("two workers at most");
    startThread(start);
  };
  const { threads, notes, product } = await tried({ threads: 4, startThread: third });
  assertEquals([asked, threads], [3, 3]);
  assertEquals(notes, ["3 threads instead of 4: startThread failed (two workers at most)"]);
  assertEquals(product, right);
});

Deno.test("a thread that fails as it starts is no thread, and the program goes on", async () => {
  const broken = (start: ThreadStart) => startThread({ ...start, module: {} as WebAssembly.Module });
  const { threads, notes: [note], product } = await tried({ threads: 2, startThread: broken });
  assertEquals(threads, 1);
  assertStringIncludes(note, "1 thread instead of 2: a thread failed (");
  assertEquals(product, right);
});

Deno.test("a roll waits for threads that come, not for one that never does, and turns a late one away", async () => {
  const roll = openRoll();
  const sign = () => Atomics.add(new Int32Array(roll.shared), 0, 1) + 1;
  assertEquals([sign(), sign()], [1, 2]);
  assertEquals(await roll.close(3, 20), { up: 2, why: "a thread did not come up within 0.02 seconds" });
  assert(sign() < 1, "a late thread has a number of a thread");

  const other = openRoll();
  noteFailure(other.shared, `${"x".repeat(600)}`);
  noteFailure(other.shared, "later");
  assertEquals(await other.close(2), { up: 0, why: "x".repeat(500) });
});

Deno.test("a web worker becomes a thread, from a Blob or from a file", async () => {
  using _page = webWorkersAlone();
  const fromBlob = await tried({ threads: 3 });
  assertEquals([fromBlob.threads, fromBlob.notes], [3, []]);
  assertEquals(fromBlob.product, right);
  const file = `data:text/javascript,${encodeURIComponent(threadProgram)}`;
  const fromFile = await tried({ threads: 2, startThread: (start) => startThread(start, file) });
  assertEquals([fromFile.threads, fromFile.notes], [2, []]);
  assertEquals(fromFile.product, right);
});

Deno.test("texts that threads start from are given back", async () => {
  using _page = webWorkersAlone();
  const { createObjectURL, revokeObjectURL } = URL;
  const open = new Set<string>();
  using _urls = standIn(
    [URL, "createObjectURL", (blob: Blob) => {
      const url = createObjectURL(blob);
      open.add(url);
      return url;
    }],
    [URL, "revokeObjectURL", (url: string) => {
      open.delete(url);
      revokeObjectURL(url);
    }],
  );
  using backend = await cpu({ threads: 3 });
  assertEquals(backend.threads, 3);
  for (let tries = 0; open.size > 0 && tries < 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(open.size, 0);
});

const isolation =
  /not cross-origin isolated.*Cross-Origin-Opener-Policy.*\(COOP\).*Cross-Origin-Embedder-Policy.*\(COEP\)/;

Deno.test("a page that is not isolated is told which headers it needs", async () => {
  using _page = standIn([globalThis, "crossOriginIsolated", false], [
    globalThis,
    "SharedArrayBuffer",
    undefined,
  ]);
  const { threads, notes: [note, ...more], product } = await tried({ threads: 4 });
  assertEquals([threads, more], [1, []]);
  assertMatch(note, new RegExp(`^1 thread instead of 4: this page is ${isolation.source}`));
  assertEquals(product, right);
  assertEquals((await tried({ threads: 1 })).notes, [], "one thread is what was asked for");
  const error = await assertRejects(
    () => cpu({ shared: true }),
    Error,
    "Cannot share memory between threads: ",
  );
  assertMatch(error.message, isolation);
  const device = await openDevice("cpu", { threads: 2, blas: "off" });
  device.backend.close();
  assertEquals(device.threads, 1);
  assertMatch(
    device.about,
    /^the CPU with 1 thread.* \(1 thread instead of 2: this page is not cross-origin isolated/,
  );
});

Deno.test("without SharedArrayBuffer anywhere, the reason is the engine", async () => {
  using _engine = standIn([globalThis, "SharedArrayBuffer", undefined]);
  assertEquals((await tried({ threads: 2 })).notes, [
    "1 thread instead of 2: this engine has no SharedArrayBuffer",
  ]);
});

Deno.test("memory that was not to be shared is a reason too", async () => {
  assertEquals((await tried({ threads: 2, shared: false })).notes, [
    "1 thread instead of 2: memory is not shared (shared: false)",
  ]);
});

Deno.test("a worker that may start no workers has its page start threads, again and again", async () => {
  const opened = await openedByWorker(new URL("cpu_in_worker.ts", import.meta.url), 50);
  assert(opened !== null, "it hung");
  assertEquals(opened.length, 50);
  for (const { threads, notes, product } of opened) {
    assertEquals([threads, notes], [2, []]);
    assertEquals(product, right);
  }
});

/** A page of a browser, as far as choosing words goes. */
function browser(...changes: readonly (readonly [object, string, unknown])[]): Disposable {
  return standIn(
    [navigator, "userAgent", "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101"],
    ...changes,
  );
}

/** What opening WebGPU is refused with; nothing in it is for a command line or another system. */
async function refusal(adapter: "any" | "hardware" = "any"): Promise<string> {
  const { message } = await assertRejects(() => webgpu({ adapter }), Error, "Cannot open WebGPU: ");
  assert(!/Linux|Vulkan|mesa|--device/.test(message), message);
  return message;
}

Deno.test("without an adapter a page is told what a browser's user can do", async () => {
  const none = { requestAdapter: () => Promise.resolve(null) };
  {
    using _page = browser([navigator, "gpu", none], [globalThis, "isSecureContext", true]);
    assertStringIncludes(await refusal(), "this browser offers no adapter: graphics acceleration may be off");
    assertStringIncludes(await refusal("hardware"), "this browser offers no hardware adapter: ");
  }
  {
    using _page = browser([navigator, "gpu", undefined], [globalThis, "isSecureContext", true]);
    assertStringIncludes(await refusal(), "this browser does not offer it; cpu() needs none");
  }
  {
    using _page = browser([navigator, "gpu", undefined], [globalThis, "isSecureContext", false]);
    assertStringIncludes(await refusal(), "only to pages from https or localhost");
  }
});

/** A page with an adapter that says so much of itself. */
function pageWith(said: Readonly<Record<string, string>>): Disposable {
  const info = {
    vendor: "",
    architecture: "",
    device: "",
    description: "",
    isFallbackAdapter: false,
    ...said,
  };
  return standIn([navigator, "gpu", { requestAdapter: () => Promise.resolve({ info }) }]);
}

async function nameOf(vendor: string, architecture: string, device = "", description = ""): Promise<string> {
  using _page = pageWith({ vendor, architecture, device, description });
  return (await adapterFacts())!.name;
}

Deno.test("an adapter without a description is named by vendor and architecture", async () => {
  assertEquals(await nameOf("google", "swiftshader"), "google swiftshader");
  assertEquals(await nameOf("nvidia", "ampere"), "nvidia ampere");
  assertEquals(await nameOf("intel", "gen-12lp", "0x9a49"), "intel gen-12lp 0x9a49");
  assertEquals(await nameOf("nvidia", "ampere", "", "NVIDIA GeForce RTX 3080"), "NVIDIA GeForce RTX 3080");
  assertEquals(await nameOf("", ""), "unnamed adapter");
});

Deno.test("a software adapter is known by its architecture too", async () => {
  using _page = pageWith({ vendor: "google", architecture: "swiftshader" });
  assertEquals(await adapterFacts(), { name: "google swiftshader", software: true });
});
