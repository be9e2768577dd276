// Files of JSON.
import { readText } from "./files.ts";

/**
 * Reads a file of JSON.
 * @throws {RangeError} when it holds no JSON; {Error} when it cannot be read.
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RangeError(`Cannot read ${path}: it holds no JSON (${(cause as Error).message})`, { cause });
  }
}
