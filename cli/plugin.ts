// A user's own module, loaded and registered: routers, kinds of experts and tasks, told apart by what each must have.
import { pathToFileURL } from "node:url";
import { type AnyExpertPlugin, registerExperts } from "../experts/registry.ts";
import { type AnyRouterPlugin, registerRouter } from "../routers/registry.ts";
import { type AnyTaskPlugin, registerTask } from "../tasks/registry.ts";

/** What modules given with `--plugin` brought, by kind. */
export interface Brought {
  readonly routers: readonly AnyRouterPlugin[];
  readonly experts: readonly AnyExpertPlugin[];
  readonly tasks: readonly AnyTaskPlugin[];
}

/**
 * Imports modules and registers every router, kind of experts and task they export.
 * @param paths File paths, taken from the current folder, or URLs.
 * @throws {RangeError} when a module cannot be loaded, exports no plugin, or exports one that cannot be registered.
 */
export async function loadPlugins(paths: readonly string[]): Promise<Brought> {
  const found: Found[] = [];
  for (const path of paths) found.push(...await loadPlugin(path));
  return {
    routers: found.flatMap((each) => each.kind === "router" ? [each.plugin] : []),
    experts: found.flatMap((each) => each.kind === "experts" ? [each.plugin] : []),
    tasks: found.flatMap((each) => each.kind === "task" ? [each.plugin] : []),
  };
}

type Found =
  | { readonly kind: "router"; readonly plugin: AnyRouterPlugin }
  | { readonly kind: "experts"; readonly plugin: AnyExpertPlugin }
  | { readonly kind: "task"; readonly plugin: AnyTaskPlugin };

async function loadPlugin(path: string): Promise<Found[]> {
  if (path === "") throw new RangeError("Cannot use --plugin: it needs a file");
  let exported: Record<string, unknown>;
  try {
    exported = await import(/^(https?|file|jsr|npm|data):/.test(path) ? path : pathToFileURL(path).href);
  } catch (cause) {
    const [line] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    const reason = line.replace(/ at ext:.*$/, "").replace(/\.$/, "");
    throw new RangeError(`Cannot load plugin ${path}: ${reason}`, { cause });
  }
  // A module may export one plugin twice: by name and as its default.
  const plugins = [...new Set(Object.values(exported))].flatMap((value) => kindOf(value) ?? []);
  if (plugins.length === 0) {
    throw new RangeError(
      `Cannot load plugin ${path}: it exports no router, no kind of experts (an object with name, options and create) ` +
        "and no task (name, options and load)",
    );
  }
  for (const each of plugins) {
    try {
      register(each);
    } catch (cause) {
      throw new RangeError(`${(cause as Error).message} (plugin ${path})`, { cause });
    }
  }
  return plugins;
}

/** What an exported value is meant to be; registering it checks that it is whole. */
function kindOf(value: unknown): Found | null {
  if (typeof value !== "object" || value === null || !("name" in value)) return null;
  if ("load" in value) return { kind: "task", plugin: value as unknown as AnyTaskPlugin };
  if ("flopPerToken" in value || "parameters" in value) {
    return { kind: "experts", plugin: value as unknown as AnyExpertPlugin };
  }
  return "create" in value ? { kind: "router", plugin: value as unknown as AnyRouterPlugin } : null;
}

function register(found: Found): void {
  if (found.kind === "router") registerRouter(found.plugin);
  else if (found.kind === "experts") registerExperts(found.plugin);
  else registerTask(found.plugin);
}
