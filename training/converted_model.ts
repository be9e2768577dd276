// A model that was made of a kept one, to be saved as one more.
import type { Model } from "../models/model.ts";
import { writeCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import type { LoadedModel } from "./load_model.ts";
import { modelToSave } from "./saved_model.ts";

/** A model made of a kept one. Close it when done. */
export interface ConvertedModel extends Disposable {
  /** The model. */
  readonly model: Model;
  /** A config that makes models of its shape. */
  readonly config: RunConfig;
  /** Writes it as a file for {@linkcode loadModel}, `--from`, and every other command on a kept model. */
  save(path: string, run: string): Promise<void>;
  /** Frees it; a second time does nothing. */
  close(): void;
}

/** Owns the model from then on. */
export function convertedModel(loaded: LoadedModel, model: Model, config: RunConfig): ConvertedModel {
  let open = true;
  const close = () => {
    if (open) model.free();
    open = false;
  };
  return {
    model,
    config,
    async save(path, run) {
      const { input, target: output } = model.spec;
      const { step, task, version, vocabulary } = loaded;
      const data = { input, output, bestRouting: null, ...(vocabulary ? { vocabulary } : {}) };
      const origin = { run, step, task, version, loss: null };
      const { tensors, metadata } = await modelToSave(model, config, data, origin);
      await writeCheckpoint(path, tensors, metadata);
    },
    close,
    [Symbol.dispose]: close,
  };
}
