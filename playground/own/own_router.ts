// A router of the user's: its text, the program made of it, and what that says of itself. It runs in workers alone.
import { type Field, fieldsOfSchema } from "../form/fields.ts";
import type { Described } from "../run/messages.ts";
import { startWorker } from "../run/start_worker.ts";
import { ProgramError } from "./problem.ts";

/** A router that can be trained. */
export interface OwnRouter {
  readonly source: string;
  /** What workers run. */
  readonly program: string;
  readonly name: string;
  readonly about: string;
  readonly fields: readonly Field[];
  /** Options with their defaults. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

/**
 * Compiles a router's text and asks it, in a worker, what it is.
 * @throws {ProgramError} naming the line where one is known.
 */
export async function readOwnRouter(source: string): Promise<OwnRouter> {
  const { compileRouter } = await import("./compile.ts");
  const program = compileRouter(source);
  const { name, about, schema, defaults } = await describe(program);
  return { source, program, name, about, fields: fieldsOfSchema(schema), defaults };
}

function describe(program: string): Promise<Described> {
  return new Promise((resolve, reject) => {
    const worker = startWorker(program, (message) => {
      if (message.kind === "described") {
        worker.terminate();
        resolve(message);
      } else if (message.kind === "failed") {
        worker.terminate();
        reject(new ProgramError(message.message, message.line));
      }
    });
    worker.send({ kind: "describe" });
  });
}
