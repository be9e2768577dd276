// What the playground runs on, in a real Chromium: threads, WebGPU, and what is missing, refused or lost, said in words.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseRecord } from "../../training/record_text.ts";
import { playgroundTest, trainedRecords, untilFinished } from "../playground.ts";

const address = "task=recall&size=tiny&train.steps=20";
const cores = (count: number) =>
  `Object.defineProperty(navigator, "hardwareConcurrency", { value: ${count} });`;

playgroundTest("threads are started by the page, and change no record", async (playground) => {
  await using one = await playground.open(address);
  const records = await trainedRecords(one.page);
  assertMatch(await one.page.textContent("#place") ?? "", /switch: CPU, 1 thread\./);
  await using four = await playground.open(`${address}&beside=hash`, { first: { page: cores(5) } });
  const both = await trainedRecords(four.page);
  const place = await four.page.textContent("#place") ?? "";
  assertMatch(place, /Threads: this page may use them, and the machine has 5 logical cores\./);
  assertMatch(place, /switch: CPU, 2 threads\..*hash: CPU, 2 threads\./);
  assert(both.startsWith(records));
  assertEquals(four.complaints, []);
});

playgroundTest(
  "a page without the two headers and without service workers computes on one thread, and says why",
  async (playground) => {
    await using isolated = await playground.open(address);
    await using plain = await playground.open(address, {
      isolated: false,
      serviceWorkers: "block",
      first: { page: cores(4) },
    });
    assertEquals(await trainedRecords(plain.page), await trainedRecords(isolated.page));
    const place = await plain.page.textContent("#place") ?? "";
    assertMatch(place, /Threads: one\. .*\(COOP\) and .*\(COEP\)/);
    assertMatch(
      place,
      /switch: CPU, 1 thread\..*1 thread instead of 3: this page is not cross-origin isolated/,
    );
  },
);

playgroundTest(
  "where a server sends no headers a service worker adds them, once, and threads change no record",
  async (playground) => {
    await using isolated = await playground.open(address);
    const records = await trainedRecords(isolated.page);
    await using plain = await playground.open(address, { isolated: false, first: { page: cores(4) } });
    const { page } = plain;
    await page.waitForFunction(() => crossOriginIsolated && document.querySelector("#router"));
    assertEquals(await trainedRecords(page), records);
    assertMatch(await page.textContent("#place") ?? "", /switch: CPU, 3 threads\./);
    assertEquals(new URL(page.url()).hash.slice(1), address);
    // Past the service worker the page is as its server sends it, and does not load again and again.
    const session = await page.context().newCDPSession(page);
    await session.send("Page.reload", { ignoreCache: true });
    await page.waitForFunction(() => !crossOriginIsolated && document.querySelector("#router"));
    await page.waitForTimeout(1000);
    assertEquals(await page.evaluate(() => crossOriginIsolated), false);
    assertEquals(plain.complaints, []);
  },
);

playgroundTest("an engine that grants less memory is told of", async (playground) => {
  const refusing = `const Memory = WebAssembly.Memory;
    WebAssembly.Memory = class extends Memory {
      constructor(given) {
        if (given.shared || given.maximum > 8192) throw new RangeError("no such memory");
        super(given);
      }
    };`;
  await using open = await playground.open(address, { first: { worker: refusing } });
  await trainedRecords(open.page);
  const place = await open.page.textContent("#place") ?? "";
  assertMatch(place, /switch: CPU, 1 thread\..*arrays may take 512 MiB together instead of 4 GiB/);
});

playgroundTest(
  "WebGPU is used only where it is chosen, and its losses are the CPU's within rounding",
  async (playground) => {
    await using cpu = await playground.open(address);
    await using gpu = await playground.open(`${address}&device=webgpu`);
    const [wanted, found] = [await trainedRecords(cpu.page), await trainedRecords(gpu.page)]
      .map((text) => parseRecord(text, "a page's"));
    assertMatch(
      await gpu.page.textContent("#place") ?? "",
      /switch: WebGPU on .*swiftshader.*, which computes on the CPU\./i,
    );
    assertEquals(wanted.header.arithmetic.device, "cpu");
    assertMatch(found.header.arithmetic.device, /swiftshader/i);
    assertEquals(found.steps.length, 20);
    found.steps.forEach(({ loss }, step) => {
      const off = Math.abs(loss - wanted.steps[step].loss);
      // Losses of 9 at most, after 20 steps of sums of 2,000 terms: far below what another routing of one token would change.
      assert(off < 1e-3, `step ${step}: ${loss}, CPU ${wanted.steps[step].loss}`);
    });
  },
);

playgroundTest("a browser without an adapter says so in its own words", async (playground) => {
  const none = "GPU.prototype.requestAdapter = () => Promise.resolve(null);";
  await using open = await playground.open(`${address}&device=webgpu`, { first: { worker: none } });
  await open.page.click("#train");
  await untilFinished(open.page);
  assertMatch(
    await open.page.textContent("#said") ?? "",
    /^switch: Cannot open WebGPU: this browser offers no adapter/,
  );
  await using without = await playground.open("", { first: { page: "delete Navigator.prototype.gpu;" } });
  // The page says where it runs once it has asked the browser.
  await without.page.locator("#place", { hasText: "WebGPU: this browser does not offer it." }).waitFor({
    state: "attached",
  });
});

playgroundTest(
  "a device that is lost in the middle ends its run alone, with what was recorded",
  async (playground) => {
    const losing = `const open = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...given) {
      const device = await open.apply(this, given);
      setTimeout(() => device.destroy(), 2500);
      return device;
    };`;
    await using open = await playground.open("task=language&size=small&device=webgpu", {
      first: { worker: losing },
    });
    const { page } = open;
    await page.click("#train");
    await untilFinished(page);
    assertEquals(await page.textContent("#runs tbody td:nth-child(2)"), "failed");
    assertMatch(await page.textContent("#said") ?? "", /the device .* was lost \(destroyed/);
    await page.selectOption("#device", "cpu");
    await page.selectOption("#task", "recall");
    await page.selectOption("#size", "tiny");
    const records = await trainedRecords(page);
    assertMatch(records, /"kind":"end"/);
  },
);
