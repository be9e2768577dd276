// Experts that stay in the file of a saved model: those that tokens are sent to are read by range, one at a time, and the
// ones used last stay in memory, up to a number of bytes. Each is a bank of one expert of the model's own kind, so that
// results are those of the whole bank, bit for bit.
import type { ExpertBank, ExpertDims, ExpertRows } from "../experts/expert.ts";
import type { AnyExpertPlugin } from "../experts/registry.ts";
import type { Safetensors } from "../formats/safetensors.ts";
import { sizeOf } from "../kernels/kernel.ts";
import type { LayerSpec, ModelSpec } from "../models/spec.ts";
import type { Init } from "../tensor/init.ts";
import { releaseHeld } from "../tensor/memory.ts";
import { concatRows } from "../tensor/row_blocks.ts";
import { assignmentsOf, groupBy, sortRows } from "../tensor/rows.ts";
import { type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { createExpertCache, type ExpertCacheStatistics } from "./expert_cache.ts";

/** Experts that are left on disk. */
export interface ExpertsOnDisk {
  /** The spec with them. */
  readonly spec: ModelSpec;
  /** Which of the file's tensors are theirs; known once the model is made. */
  readonly names: ReadonlySet<string>;
  /** What they have cost so far. */
  statistics(): ExpertCacheStatistics;
}

/** True for a tensor of a bank of experts. */
export function isOfExperts(name: string): boolean {
  return /^blocks\.\d+\.experts\./.test(name);
}

/**
 * A spec whose mixtures read their experts from a file.
 * @param cacheBytes What experts in memory may take; one is held even where it takes more.
 * @param refuse Called when the model is made and the file does not fit it.
 * @throws {RangeError} when `cacheBytes` is no whole number from 0.
 */
export function leaveOnDisk(
  spec: ModelSpec,
  file: Safetensors,
  cacheBytes: number,
  refuse: (why: string) => never,
): ExpertsOnDisk {
  if (!Number.isSafeInteger(cacheBytes) || cacheBytes < 0) {
    throw new RangeError(`Cannot hold ${cacheBytes} bytes of experts: choose a whole number from 0`);
  }
  const names = new Set<string>();
  const cache = createExpertCache(cacheBytes);
  let allBytes = 0;
  const note = (name: string, shape: readonly number[]) => {
    const there = file.tensors.get(name) ?? refuse(`it has no "${name}"`);
    if (String(there.shape) !== String(shape)) {
      refuse(`"${name}" has shape [${there.shape.join(", ")}], and the model's has [${shape.join(", ")}]`);
    }
    names.add(name);
    allBytes += 4 * sizeOf(shape);
  };
  const layers = spec.layers.map((layer, at): LayerSpec => {
    const { feedForward } = layer;
    if (feedForward.kind !== "moe") return layer;
    const kind = feedForward.experts;
    const prefix = `blocks.${at}.experts.`;
    const experts: AnyExpertPlugin = {
      ...kind,
      create(dims, options, init) {
        const { pattern, make } = oneByOne(kind, dims, options, init, refuse);
        const params = Object.entries(pattern.params);
        releaseHeld(params.map(([, param]) => param));
        if (params.length === 0) return kind.create(dims, options, init);
        for (const [name, { shape: [rows, ...rest] }] of params) {
          note(prefix + name, [dims.E * rows, ...rest]);
        }
        const expertOf = (expert: number) =>
          cache.take(`${prefix}${expert}`, async () => {
            const bank = make();
            await readInto(bank, expert, file, prefix);
            return bank;
          });
        return {
          params: {},
          ...(pattern.shared ? { shared: pattern.shared } : {}),
          apply: (rows) => applyOneByOne(rows, dims.E, expertOf),
          free: () => cache.drop(prefix),
        };
      },
    };
    return { ...layer, feedForward: { ...feedForward, experts } };
  });
  return {
    spec: { ...spec, layers },
    names,
    statistics: () => ({ ...cache.counts(), allBytes }),
  };
}

/** A bank of one expert, and how others like it are made: with parameters of their own but for those that all share. */
function oneByOne(
  kind: AnyExpertPlugin,
  dims: ExpertDims,
  options: unknown,
  init: Init,
  refuse: (why: string) => never,
): { readonly pattern: ExpertBank; readonly make: () => ExpertBank } {
  const made = new Map<string, Parameter>();
  const shared = new Map<string, Parameter>();
  const withZeros = (path: string): Init => ({
    ...init,
    parameter(name, shape, _fill, given) {
      const key = `${path}/${name}`;
      const zeros = () =>
        parameter(init.backend, new Float32Array(sizeOf(shape)), shape, { ...given, name: key });
      const found = shared.get(key) ?? zeros();
      made.set(key, found);
      return found;
    },
    part: (name) => withZeros(`${path}/${name}`),
  });
  const make = (E = 1): ExpertBank => kind.create({ ...dims, E }, options, withZeros("expert"));
  const pattern = ofOne(kind.name, make, refuse);
  if (pattern.owners) checkTogether(kind.name, make(2), refuse);
  const ofAll = new Set(Object.values(pattern.shared ?? {}));
  for (const [key, param] of made) if (ofAll.has(param)) shared.set(key, param);
  return { pattern, make };
}

function ofOne(name: string, make: () => ExpertBank, refuse: (why: string) => never): ExpertBank {
  try {
    return make();
  } catch (error) {
    return refuse(`experts "${name}" cannot be left on disk: of one alone, ${(error as Error).message}`);
  }
}

/** Checks that what an expert owns lies together. */
function checkTogether(name: string, two: ExpertBank, refuse: (why: string) => never): void {
  two.free?.();
  releaseHeld([...Object.values(two.params), ...Object.values(two.shared ?? {})]);
  for (const [param, owners] of Object.entries(two.owners ?? {})) {
    if (owners.every((owner, at) => owner === Math.floor(2 * at / owners.length))) continue;
    refuse(`experts "${name}" cannot be left on disk: what one owns of "${param}" does not lie together`);
  }
}

/** Fills a bank of one expert with an expert's slices of the file. */
async function readInto(bank: ExpertBank, expert: number, file: Safetensors, prefix: string): Promise<void> {
  for (const [name, param] of Object.entries(bank.params)) {
    const size = sizeOf(param.shape);
    const values = await file.floats(prefix + name, { from: expert * size, to: (expert + 1) * size });
    param.assign(tensor(param.backend, values, param.shape));
  }
}

/** What the experts of a bank make of their rows, expert by expert. */
async function applyOneByOne(
  { rows, offset_O, random }: ExpertRows,
  E: number,
  expertOf: (expert: number) => Promise<ExpertBank>,
): Promise<Tensor> {
  if (random) throw new TypeError("Cannot train experts that are left on disk: load the model without that");
  const { backend } = rows.x_TD;
  const [T, D] = rows.x_TD.shape;
  const [offset, index] = await Promise.all([offset_O.read(), rows.index_N.read()]);
  const parts: Tensor[] = [];
  for (let expert = 0; expert < E; expert++) {
    const count = offset[expert + 1] - offset[expert];
    if (count === 0) continue;
    const token_N = Int32Array.from(
      index.subarray(offset[expert], offset[expert + 1]),
      (at) => Math.floor(at / rows.each),
    );
    const assignments = assignmentsOf(tensor(backend, token_N, [count]), T, null);
    const together = groupBy(tensor(backend, new Int32Array(count), [count]), 1);
    const bank = await expertOf(expert);
    parts.push(
      await bank.apply({
        rows: sortRows(rows.x_TD, assignments, together),
        offset_O: tensor(backend, Int32Array.of(0, count), [2]),
      }),
    );
  }
  const rest = index.length - offset[E];
  if (rest > 0 || parts.length === 0) parts.push(tensor(backend, new Float32Array(rest * D), [rest, D]));
  return parts.length === 1 ? parts[0] : concatRows(parts);
}
