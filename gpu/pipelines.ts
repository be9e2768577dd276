// Programs compiled once for each set of constants, and bind groups made once for each set of buffers: creating them
// costs far more than a dispatch, and a training step asks for the same ones again and again.
import type { GpuPass } from "../kernels/kernel.ts";
import type { Block } from "./pool.ts";
import { UNIFORM_BYTES, type Uniforms } from "./uniforms.ts";

/**
 * What a training step needs is a few thousand at most, after which it makes none; a program that trains one model after
 * another fills this up at last, and then all are made again as they are asked for.
 */
const MOST_BIND_GROUPS = 16384;

/** Caches of one device. */
export interface Pipelines {
  /** For a pass that binds so many arrays. */
  pipeline(kernel: string, pass: GpuPass, reads: number, writes: number): GPUComputePipeline;
  bindGroup(reads: readonly Block[], writes: readonly Block[]): GPUBindGroup;
  statistics(): { readonly pipelines: number; readonly bindGroups: number };
}

/** A bind group and the blocks it binds. */
interface Bound {
  readonly reads: readonly Block[];
  readonly writes: readonly Block[];
  readonly group: GPUBindGroup;
}

interface Layout {
  readonly group: GPUBindGroupLayout;
  readonly pipeline: GPUPipelineLayout;
}

/** Layout: uniforms in binding 0, arrays to read from 1 on, then arrays to write. */
export function createPipelines(device: GPUDevice, uniforms: Uniforms): Pipelines {
  const layouts = new Map<string, Layout>();
  const modules = new Map<string, GPUShaderModule>();
  const pipelines = new Map<string, Map<string, GPUComputePipeline>>();
  /** By a hash of their blocks' numbers: of two with one hash, the later is kept. */
  const bindGroups = new Map<number, Bound>();
  let made = 0;
  let bindGroupsMade = 0;

  function layoutOf(reads: number, writes: number): Layout {
    const key = `${reads},${writes}`;
    let layout = layouts.get(key);
    if (!layout) {
      const visibility = GPUShaderStage.COMPUTE;
      const entries: GPUBindGroupLayoutEntry[] = [
        { binding: 0, visibility, buffer: { type: "uniform", hasDynamicOffset: true } },
      ];
      for (let at = 1; at <= reads + writes; at++) {
        const type = at <= reads ? "read-only-storage" : "storage";
        entries.push({ binding: at, visibility, buffer: { type } });
      }
      const group = device.createBindGroupLayout({ entries });
      layout = { group, pipeline: device.createPipelineLayout({ bindGroupLayouts: [group] }) };
      layouts.set(key, layout);
    }
    return layout;
  }

  return {
    pipeline(kernel, { program, entry = "main", constants = {} }, reads, writes) {
      let ofProgram = pipelines.get(program);
      if (!ofProgram) pipelines.set(program, ofProgram = new Map());
      let key = `${entry} ${reads} ${writes}`;
      for (const name in constants) key += ` ${name}=${constants[name]}`;
      let pipeline = ofProgram.get(key);
      if (!pipeline) {
        let module = modules.get(program);
        if (!module) {
          modules.set(program, module = device.createShaderModule({ label: kernel, code: program }));
        }
        pipeline = device.createComputePipeline({
          label: kernel,
          layout: layoutOf(reads, writes).pipeline,
          compute: { module, entryPoint: entry, constants: { ...constants } },
        });
        ofProgram.set(key, pipeline);
        made++;
      }
      return pipeline;
    },
    bindGroup(reads, writes) {
      let hash = reads.length;
      for (const { number } of reads) hash = Math.imul(hash ^ number, 0x9e3779b1) ^ (hash >>> 15);
      for (const { number } of writes) hash = Math.imul(hash ^ number, 0x9e3779b1) ^ (hash >>> 15);
      const found = bindGroups.get(hash);
      if (found && sameBlocks(found.reads, reads) && sameBlocks(found.writes, writes)) return found.group;
      const entries: GPUBindGroupEntry[] = [
        { binding: 0, resource: { buffer: uniforms.buffer, offset: 0, size: UNIFORM_BYTES } },
      ];
      for (const { buffer, bytes } of [...reads, ...writes]) {
        entries.push({ binding: entries.length, resource: { buffer, size: bytes } });
      }
      const { group: layout } = layoutOf(reads.length, writes.length);
      const group = device.createBindGroup({ layout, entries });
      if (bindGroups.size >= MOST_BIND_GROUPS) bindGroups.clear();
      bindGroups.set(hash, { reads, writes, group });
      bindGroupsMade++;
      return group;
    },
    statistics: () => ({ pipelines: made, bindGroups: bindGroupsMade }),
  };
}

function sameBlocks(some: readonly Block[], others: readonly Block[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}
