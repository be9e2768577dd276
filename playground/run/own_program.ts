// The user's program inside its worker: run once, with the package in place of what it imports, its router registered.
import { findRouter, parseOptions, registerRouter } from "../../routers/registry.ts";
import type { AnyRouterPlugin } from "../../routers/registry.ts";
import { jsonSchemaOf } from "../../tensor/plugins.ts";
import type { JsonSchema } from "../../training/config.ts";
import type { Described } from "./messages.ts";

/** What the page puts at the top of the worker. */
export type OwnProgram = (
  exports: Record<string, unknown>,
  require: (specifier: string) => unknown,
  loop: (line: number) => void,
) => void;

/**
 * Runs a program and registers the router that it exports.
 * @throws {Error} what the program throws; {RangeError} when it exports no router, or one that cannot be registered.
 */
export async function registerOwn(
  program: OwnProgram,
  loop: (line: number) => void,
): Promise<AnyRouterPlugin> {
  const { requirePackage } = await import("./own_imports.ts");
  const exports: Record<string, unknown> = {};
  program(exports, requirePackage, loop);
  const found = Object.values(exports).find(isRouter);
  if (!found) {
    throw new RangeError(
      "Cannot use this program: it exports no router, an object with name, options and create",
    );
  }
  registerRouter(found);
  return findRouter(found.name);
}

function isRouter(value: unknown): value is AnyRouterPlugin {
  return typeof value === "object" && value !== null && "name" in value && "create" in value;
}

/** What a router says of itself. */
export function describe(router: AnyRouterPlugin): Described {
  const { name, about, options } = router;
  return {
    kind: "described",
    name,
    about,
    schema: jsonSchemaOf(options) as JsonSchema,
    defaults: parseOptions(router),
  };
}

const FRAME = /\(?(blob:[^\s()]*?):(\d+):\d+\)?$/;

/** The innermost line of an error that lies in the program; null where none does. */
export function lineOf(error: unknown, lines: number): number | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    for (const frame of (each.stack ?? "").split("\n")) {
      const line = Number(frame.trim().match(FRAME)?.[2]);
      if (line >= 1 && line <= lines) return line;
    }
  }
  return null;
}
