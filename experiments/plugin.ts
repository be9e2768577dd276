// A user's own router file, loaded and registered.
import { type AnyRouterPlugin, registerRouter } from "../routers/registry.ts";

/**
 * Imports a module and registers every router it exports.
 * @param path A file path, taken from the current folder, or a URL.
 * @throws {RangeError} when the module cannot be loaded or exports no router.
 */
export async function loadPlugin(path: string): Promise<void> {
  const url = /^(https?|file|jsr|npm):/.test(path) ? path : new URL(path, `file://${Deno.cwd()}/`).href;
  let exported: Record<string, unknown>;
  try {
    exported = await import(url);
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new RangeError(`Cannot load plugin ${path}: ${reason}`, { cause });
  }
  const plugins = Object.values(exported).filter(looksLikePlugin);
  if (plugins.length === 0) {
    throw new RangeError(
      `Cannot load plugin ${path}: it exports no router (an object with name, options and create)`,
    );
  }
  for (const plugin of plugins) registerRouter(plugin);
}

function looksLikePlugin(value: unknown): value is AnyRouterPlugin {
  return typeof value === "object" && value !== null && "create" in value && "name" in value;
}
