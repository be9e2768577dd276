// Experts out of ONNX files, run by onnxruntime-web as they are: each is a model of rows [N, D] that gives rows [N, D]. They
// are frozen, so no gradient passes; their rows are read to the host and sent back.
import * as z from "zod";
import { dispatchRows } from "../tensor/rows.ts";
import { differentiable, stopGradient, tensor } from "../tensor/tensor.ts";
import { release } from "../tensor/memory.ts";
import type { ExpertPlugin, ExpertRows } from "./expert.ts";
import { openModel, type RowModel } from "./parts/onnx_runtime.ts";

/** Options of {@linkcode onnx}. */
export interface OnnxOptions {
  /** Paths or addresses of ONNX files, which experts take in turn; required. */
  readonly models: readonly string[];
  /** Floating-point operations of a token in one expert, as you count them: files are not looked into. */
  readonly flop: number;
}

/**
 * ONNX experts. A model has one input and one output, f32 and of rows, however many there are; it is opened when it is first
 * needed, and the package onnxruntime-web with it, which whoever uses this kind installs.
 * @example
 * ```ts
 * import { cpu, createInit, onnx, parseExpertOptions, random } from "@switchyard/moe";
 * import { assertEquals, assertThrows } from "@std/assert";
 * const options = parseExpertOptions(onnx, { models: ["experts/a.onnx", "experts/b.onnx"], flop: 4096 });
 * const dims = { D: 32, F: 64, E: 4 };
 * assertEquals([onnx.parameters(dims, options), onnx.flopPerToken(dims, options)], [0, 4096]);
 * const backend = await cpu({ threads: 1 });
 * const none = () => onnx.create(dims, parseExpertOptions(onnx), createInit(backend, random(0)));
 * assertThrows(none, RangeError, 'Cannot make experts "onnx": models names no file');
 * backend.close();
 * ```
 */
export const onnx: ExpertPlugin<OnnxOptions> = {
  name: "onnx",
  about: "Models from ONNX files, rows [N, D] to rows [N, D], run by onnxruntime-web; frozen.",
  frozen: true,
  readings: [
    "Weights inside the files are no parameters of a model here, and are not counted; FLOPs are what you say they are.",
    "Records and the identity of a run name files by path, not by content: keep a file as it is while runs go on with it.",
  ],
  options: z.strictObject({
    models: z.array(z.string().min(1)).default([]).describe(
      "paths or addresses of ONNX files, which experts take in turn; required",
    ),
    flop: z.number().min(0).default(0).describe(
      "floating-point operations of a token in one expert, as you count them: files are not looked into",
    ),
  }),
  parameters: () => 0,
  flopPerToken: (_dims, { flop }) => flop,
  activationsPerToken: ({ D }) => D,
  dense: ({ models, flop }) => [onnx, { models: models.slice(0, 1), flop }],
  create({ D, E }, { models }) {
    if (models.length === 0) {
      throw new RangeError(
        'Cannot make experts "onnx": models names no file; give paths or addresses of ONNX files',
      );
    }
    if (E % models.length !== 0) {
      throw new RangeError(
        `Cannot make experts "onnx": ${E} experts are no multiple of the ${models.length} files that models names`,
      );
    }
    const opened = new Map<string, Promise<RowModel>>();
    const modelOf = (expert: number): Promise<RowModel> => {
      const path = models[expert % models.length];
      let model = opened.get(path);
      if (!model) opened.set(path, model = openModel(path, D));
      return model;
    };
    return {
      params: {},
      apply: (rows) => applied(rows, D, modelOf),
      free() {
        for (const model of opened.values()) model.then(({ close }) => close(), () => {});
        opened.clear();
      },
    };
  },
};

async function applied(
  { rows, offset_O }: ExpertRows,
  D: number,
  modelOf: (expert: number) => Promise<RowModel>,
) {
  const { x_TD } = rows;
  const copied_ND = dispatchRows({ ...rows, x_TD: stopGradient(x_TD) });
  const { shape } = copied_ND;
  const [x, offset] = await Promise.all([copied_ND.read(), offset_O.read()]);
  release(copied_ND);
  const y = new Float32Array(x.length);
  for (let expert = 0; expert + 1 < offset.length; expert++) {
    const [from, to] = [offset[expert], offset[expert + 1]];
    if (from === to) continue;
    const own = (x as Float32Array).slice(from * D, to * D);
    y.set(await (await modelOf(expert)).run(own), from * D);
  }
  return differentiable(tensor(x_TD.backend, y, shape), [[x_TD, () => {
    throw new TypeError(
      'Cannot take a gradient through experts "onnx": their models are frozen; use them in evaluation, or where nothing ' +
        "before them learns",
    );
  }]]);
}
