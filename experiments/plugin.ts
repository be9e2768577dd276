// A user's own router file, loaded and registered.
import { pathToFileURL } from "node:url";
import { type AnyRouterPlugin, registerRouter } from "../routers/registry.ts";

/**
 * Imports a module and registers every router it exports.
 * @param path A file path, taken from the current folder, or a URL.
 * @throws {RangeError} when the module cannot be loaded, exports no router, or exports one that cannot be registered.
 */
export async function loadPlugin(path: string): Promise<readonly AnyRouterPlugin[]> {
  if (path === "") throw new RangeError("Cannot use --plugin: it needs a file");
  let exported: Record<string, unknown>;
  try {
    exported = await import(/^(https?|file|jsr|npm|data):/.test(path) ? path : pathToFileURL(path).href);
  } catch (cause) {
    const [reason] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new RangeError(`Cannot load plugin ${path}: ${reason}`, { cause });
  }
  // A module may export one router twice: by name and as its default.
  const plugins = [...new Set(Object.values(exported).filter(looksLikePlugin))];
  if (plugins.length === 0) {
    throw new RangeError(
      `Cannot load plugin ${path}: it exports no router (an object with name, options and create)`,
    );
  }
  for (const plugin of plugins) {
    try {
      registerRouter(plugin);
    } catch (cause) {
      throw new RangeError(`${(cause as Error).message} (plugin ${path})`, { cause });
    }
  }
  return plugins;
}

function looksLikePlugin(value: unknown): value is AnyRouterPlugin {
  return typeof value === "object" && value !== null && "create" in value && "name" in value;
}
