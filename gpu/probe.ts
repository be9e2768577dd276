// Finds out what a device does that nothing declares: whether it rounds a product before it adds to it.
import program from "./probe.wgsl" with { type: "text" };

/** True when a b + c rounds once. */
export async function fusesMultiplyAdd(device: GPUDevice): Promise<boolean> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const numbers = device.createBuffer({ size: 16, usage: STORAGE | COPY_SRC | COPY_DST });
  const staging = device.createBuffer({ size: 16, usage: MAP_READ | COPY_DST });
  const a = 1 + 2 ** -12, b = 1 - 2 ** -12;
  device.queue.writeBuffer(numbers, 0, Float32Array.of(a, b, -1, 0));
  const module = device.createShaderModule({ label: "probe", code: program });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: numbers } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(numbers, 0, staging, 0, 16);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(staging.getMappedRange())[3];
  staging.unmap();
  numbers.destroy();
  staging.destroy();
  return result !== 0;
}
