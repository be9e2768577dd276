// Finds out what a device does that nothing declares, with programs of one invocation on a few words.
import program from "./probe.wgsl" with { type: "text" };

/** Runs one invocation of a program that reads and writes the words in binding 0, and gives them back. */
export async function runProbe(
  device: GPUDevice,
  program: string,
  words: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
): Promise<ArrayBuffer> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = words.byteLength;
  const given = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const staging = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  device.queue.writeBuffer(given, 0, words);
  const module = device.createShaderModule({ label: "probe", code: program });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: given } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(given, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const found = staging.getMappedRange().slice(0);
  staging.unmap();
  given.destroy();
  staging.destroy();
  return found;
}

/** True when a b + c rounds once. */
export async function fusesMultiplyAdd(device: GPUDevice): Promise<boolean> {
  const [a, b] = [1 + 2 ** -12, 1 - 2 ** -12];
  const found = await runProbe(device, program, Float32Array.of(a, b, -1, 0));
  return new Float32Array(found)[3] !== 0;
}
