// The WebGPU backend: every array is a buffer of a pool, every kernel a few dispatches, queued in one command encoder
// until a read needs them or enough have come together. Only `read` waits.
import {
  type Arithmetic,
  type ArrayType,
  type Backend,
  type Buffer,
  bytesOf,
  type GpuFacts,
  type GpuPass,
  type HostArray,
  type Kernel,
  type QueueCounts,
  shapeText,
  sizeOf,
} from "../kernels/kernel.ts";
import { type AdapterChoice, openDevice } from "./adapter.ts";
import { watchDevice } from "./failure.ts";
import { createPipelines } from "./pipelines.ts";
import { type Block, createPool, type PoolStatistics } from "./pool.ts";
import { fusesMultiplyAdd } from "./probe.ts";
import { createReadBack, type Wanted } from "./read_back.ts";
import { createTimestamps } from "./timestamps.ts";
import { createUniforms } from "./uniforms.ts";

/** Choices for {@linkcode webgpu}. */
export interface WebgpuOptions extends AdapterChoice {
  /** Dispatches after which queued work is handed to the device without waiting for a read. Default 1024. */
  readonly dispatchesPerSubmit?: number;
  /** Measures seconds by kernel where the adapter has timestamps. It makes everything slower. Default false. */
  readonly profile?: boolean;
  /** Programs for adapters that compute on the CPU (true) or for hardware. Default: what the adapter is. */
  readonly software?: boolean;
  /** Most workgroups along one dimension of a grid; smaller than the device's only to test how grids fold. */
  readonly workgroupsPerDimension?: number;
}

/** What a WebGPU backend has done and holds. */
export interface WebgpuStatistics extends PoolStatistics, QueueCounts {
  /** Pipelines and bind groups made so far. */
  readonly pipelines: number;
  /** Bind groups made so far. */
  readonly bindGroups: number;
  /** Bytes of dispatches' numbers uploaded so far. */
  readonly uniformBytes: number;
  /** Seconds by kernel on the device, when `profile` is on and the adapter has timestamps. */
  readonly kernelSeconds: Readonly<Record<string, number>>;
}

/** A WebGPU backend: a {@linkcode Backend} that says what it uses. */
export interface WebgpuBackend extends Backend, Disposable {
  /** Always "webgpu". */
  readonly name: "webgpu";
  /** True on an adapter that computes on the CPU. */
  readonly software: boolean;
  /** Largest array in bytes. */
  readonly largestBytes: number;
  /** Dispatches, submits and reads so far. */
  readonly counts: QueueCounts;
  /** What it holds and has done so far. */
  statistics(): WebgpuStatistics;
  /** Gives the device back. The backend must not be used afterwards. `using` a backend closes it too. */
  close(): void;
}

interface WebgpuBuffer extends Buffer {
  readonly block: Block;
}

/**
 * Opens the WebGPU backend on the best adapter there is.
 *
 * @example
 * ```ts
 * import { adapterFacts, webgpu } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * if (await adapterFacts()) {
 *   const backend = await webgpu();
 *   const buffer = backend.upload(Float32Array.of(1, 2, 3), [3]);
 *   assertEquals(await backend.read(buffer), Float32Array.of(1, 2, 3));
 *   backend.close();
 * }
 * ```
 * @throws {Error} when there is no adapter.
 */
export async function webgpu(options: WebgpuOptions = {}): Promise<WebgpuBackend> {
  const { device, facts: adapter, largestBytes } = await openDevice(options);
  const { maxComputeWorkgroupsPerDimension, minUniformBufferOffsetAlignment } = device.limits;
  const facts: GpuFacts = {
    software: options.software ?? adapter.software,
    workgroupsPerDimension: Math.min(
      options.workgroupsPerDimension ?? Infinity,
      maxComputeWorkgroupsPerDimension,
    ),
  };
  const failure = watchDevice(device, adapter.name);
  const arithmetic: Arithmetic = {
    device: adapter.name,
    fusedMultiplyAdd: await fusesMultiplyAdd(device),
  };
  const dispatchesPerSubmit = options.dispatchesPerSubmit ?? 1024;
  const pool = createPool(device, largestBytes);
  const uniforms = createUniforms(device, minUniformBufferOffsetAlignment);
  const pipelines = createPipelines(device, uniforms);
  const readBack = createReadBack(device);
  const timestamps = options.profile && device.features.has("timestamp-query")
    ? createTimestamps(device)
    : null;
  const tables = new Map<string, Block>();

  let encoder: GPUCommandEncoder | null = null;
  let pass: GPUComputePassEncoder | null = null;
  let queued = 0;
  /** Offsets in a typed array are taken over faster than in a list. */
  const dynamicOffset = new Uint32Array(1);
  const counts = { dispatches: 0, submits: 0, reads: 0, waitSeconds: 0 };
  let waits = 0;
  let waitingSince = 0;
  /** Freed while reads wait for their copies; nothing may write there yet. */
  let freed: Block[] = [];
  let wanted: { readonly copy: Wanted; done(): void; failed(error: unknown): void }[] = [];

  function close(): void {
    failure.close();
    device.destroy();
  }

  function endPass(): void {
    pass?.end();
    pass = null;
  }

  function submit(): void {
    endPass();
    if (!encoder) return;
    timestamps?.encode(encoder);
    uniforms.upload();
    device.queue.submit([encoder.finish()]);
    encoder = null;
    queued = 0;
    counts.submits++;
  }

  function passFor(kernel: string): GPUComputePassEncoder {
    encoder ??= device.createCommandEncoder();
    if (!timestamps) return pass ??= encoder.beginComputePass();
    endPass();
    return pass = encoder.beginComputePass({ timestampWrites: timestamps.mark(kernel) });
  }

  function dispatch(kernel: string, step: GpuPass, reading: Block[], writing: Block[]): void {
    const [x, y, z] = step.workgroups;
    if (x * y * z === 0) return;
    const { integers = [], floats = [] } = step;
    if (timestamps?.full()) submit();
    let offset = uniforms.place(integers, floats);
    if (offset === null) {
      submit();
      offset = uniforms.place(integers, floats)!;
    }
    const encoding = passFor(kernel);
    encoding.setPipeline(pipelines.pipeline(kernel, step, reading.length, writing.length));
    dynamicOffset[0] = offset;
    encoding.setBindGroup(0, pipelines.bindGroup(reading, writing), dynamicOffset, 0, 1);
    encoding.dispatchWorkgroups(x, y, z);
    for (const block of reading) block.lastSubmit = counts.submits;
    for (const block of writing) block.lastSubmit = counts.submits;
    counts.dispatches++;
    if (++queued >= dispatchesPerSubmit) submit();
  }

  function allocate(type: ArrayType): WebgpuBuffer {
    return { type, block: pool.take(bytesFor(type)) };
  }

  /** The same memory; both are freed. */
  function inPlaceOf(input: Buffer): WebgpuBuffer {
    const block = blockOf(input);
    block.holders++;
    return { type: input.type, block };
  }

  function bytesFor(type: ArrayType): number {
    const bytes = bytesOf(type);
    if (bytes > largestBytes) {
      throw new RangeError(
        `Cannot place an array of shape ${
          shapeText(type.shape)
        } on ${adapter.name}: it takes ${bytes} bytes, ` +
          `the adapter binds at most ${largestBytes}`,
      );
    }
    return bytes;
  }

  function write(values: HostArray, type: ArrayType): Block {
    const block = pool.takeIdle(bytesFor(type), counts.submits);
    if (values.length > 0) device.queue.writeBuffer(block.buffer, 0, values as BufferSource);
    return block;
  }

  function tableOf(key: string, values: () => HostArray): Block {
    let block = tables.get(key);
    if (!block) {
      const made = values();
      tables.set(key, block = write(made, { dtype: "f32", shape: [made.length] }));
    }
    return block;
  }

  /** Counts seconds; waits that overlap count once. */
  async function waited(values: () => Promise<void>): Promise<void> {
    if (waits++ === 0) waitingSince = performance.now();
    try {
      await values();
    } finally {
      if (--waits === 0) counts.waitSeconds += (performance.now() - waitingSince) / 1000;
    }
  }

  /** Submits what is queued with all copies wanted so far, and resolves them together. */
  async function resolveReads(): Promise<void> {
    const batch = wanted;
    wanted = [];
    counts.reads++;
    try {
      failure.check("read");
      endPass();
      encoder ??= device.createCommandEncoder();
      const copies = batch.map(({ copy }) => copy);
      for (const { from } of copies) from.lastSubmit = counts.submits;
      const staging = readBack.encode(encoder, copies);
      for (const block of freed) pool.release(block);
      freed = [];
      submit();
      await waited(() => readBack.finish(staging, copies));
      await timestamps?.collect();
      failure.check("read");
      for (const { done } of batch) done();
    } catch (error) {
      const reason = await failure.explain("read", error);
      for (const { failed } of batch) failed(reason);
    }
  }

  return {
    name: "webgpu",
    arithmetic,
    dtypes: ["f32", "i32", "f16"],
    software: facts.software,
    largestBytes,
    upload(values, shape) {
      failure.check("upload");
      if (values.length !== sizeOf(shape)) {
        throw new RangeError(`Cannot upload ${values.length} values as shape ${shapeText(shape)}`);
      }
      const type: ArrayType = { dtype: values instanceof Float32Array ? "f32" : "i32", shape: [...shape] };
      const buffer: WebgpuBuffer = { type, block: write(values, type) };
      return buffer;
    },
    run<P>(kernel: Kernel<P>, inputs: readonly Buffer[], params: P, over = false): Buffer[] {
      failure.check(`run ${kernel.name}`);
      if (!kernel.gpu) {
        throw new TypeError(
          `Cannot run ${kernel.name}: it has no WGSL program, only the CPU backend runs it`,
        );
      }
      const types = inputs.map((input) => input.type);
      const launch = kernel.gpu(types, params, facts);
      const { scratch = [], tables = [] } = launch;
      const blocks = inputs.map(blockOf);
      // A copy that a read waits for is made later than this kernel runs, and no array is read and written in one pass.
      const wouldReplace = over && wanted.length === 0 && launch.over
        ? kernel.replaces?.(inputs.length)
        : undefined;
      const replaces =
        wouldReplace?.every((at) => blocks.indexOf(blocks[at]) === blocks.lastIndexOf(blocks[at]))
          ? wouldReplace
          : undefined;
      const passes = replaces ? launch.over! : launch.passes;
      const outputs = kernel.outputs(types, params).map((type, at) =>
        replaces ? inPlaceOf(inputs[replaces[at]]) : allocate(type)
      );
      for (const output of outputs) blocks.push(output.block);
      const scratchBlocks = scratch.map((type) => pool.take(bytesFor(type)));
      blocks.push(...scratchBlocks);
      for (const { key, values } of tables) blocks.push(tableOf(`${kernel.name} ${key}`, values));
      const afterInputs = inputs.length;
      const afterOutputs = afterInputs + outputs.length;
      for (const step of passes) {
        const reading = step.reads?.map((at) => blocks[at]) ?? blocks.slice(0, afterInputs);
        const writing = step.writes?.map((at) => blocks[at]) ?? blocks.slice(afterInputs, afterOutputs);
        dispatch(kernel.name, step, reading, writing);
      }
      for (const block of scratchBlocks) pool.release(block);
      return outputs;
    },
    read(buffer) {
      const { dtype, shape } = buffer.type;
      const values = dtype === "i32" ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
      const block = blockOf(buffer);
      return new Promise((resolve, reject) => {
        if (wanted.length === 0) queueMicrotask(() => void resolveReads());
        wanted.push({ copy: { from: block, dtype, values }, done: () => resolve(values), failed: reject });
      });
    },
    alias(buffer, shape) {
      if (sizeOf(shape) !== sizeOf(buffer.type.shape)) {
        throw new RangeError(`Cannot view shape ${shapeText(buffer.type.shape)} as ${shapeText(shape)}`);
      }
      const view: WebgpuBuffer = {
        type: { dtype: buffer.type.dtype, shape: [...shape] },
        block: blockOf(buffer),
      };
      return view;
    },
    free(buffer) {
      if (wanted.length > 0) freed.push(blockOf(buffer));
      else pool.release(blockOf(buffer));
    },
    counts,
    statistics() {
      return {
        ...pool.statistics(),
        ...pipelines.statistics(),
        ...uniforms.statistics(),
        ...counts,
        kernelSeconds: Object.fromEntries(timestamps?.seconds ?? []),
      };
    },
    close,
    [Symbol.dispose]: close,
  };
}

function blockOf(buffer: Buffer): Block {
  return (buffer as WebgpuBuffer).block;
}
