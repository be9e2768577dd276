// What a bank takes as its products read it, for kinds that are made of others and for the cost of a model.
import type { ExpertDims, ExpertPlugin } from "../expert.ts";

/** Bytes of a bank: what the kind says, or 4 a number. */
export function bankBytes<Options>(
  plugin: ExpertPlugin<Options>,
  dims: ExpertDims,
  options: Options,
): number {
  return plugin.keptBytes?.(dims, options) ?? fullBytes(plugin, dims, options);
}

/** Bytes of a bank's parameters, 4 a number. */
export function fullBytes<Options>(
  plugin: ExpertPlugin<Options>,
  dims: ExpertDims,
  options: Options,
): number {
  const own = Math.round(dims.E * plugin.parameters(dims, options));
  return 4 * (own + (plugin.sharedParameters?.(dims, options) ?? 0));
}
