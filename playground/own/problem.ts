// What is wrong with a program of the user's.

/** A sentence, and the line it is about where one is known. */
export interface Problem {
  readonly message: string;
  /** Counted from 1. */
  readonly line: number | null;
}

/** A program that cannot be used. */
export class ProgramError extends RangeError implements Problem {
  constructor(message: string, readonly line: number | null) {
    super(message);
  }
}

/** The problem as one text. */
export function problemText({ message, line }: Problem): string {
  return line === null ? message : `line ${line}: ${message}`;
}
