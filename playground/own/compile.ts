// A router's module as a function body that a worker can run: types taken out, imports through `require`, loops marked. Lines
// stay where they are, so that an error names the author's.
import { transform } from "sucrase";
import { ProgramError } from "./problem.ts";
import { withGuards } from "./guards.ts";

/** @throws {ProgramError} naming the line, when it is no program. */
export function compileRouter(source: string): string {
  try {
    return transform(withGuards(source), {
      transforms: ["typescript", "imports"],
      preserveDynamicImport: true,
      disableESTransforms: true,
    }).code;
  } catch (error) {
    const { message, loc } = error as Error & { loc?: { line: number } };
    throw new ProgramError(message.replace(/ \(\d+:\d+\)$/, ""), loc?.line ?? null);
  }
}
