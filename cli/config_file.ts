// A run's config from a file, in JSON or TOML by its ending.
import { parse as parseToml } from "smol-toml";
import { readText } from "../formats/files.ts";

/** @throws {RangeError} when the file is no JSON or TOML object; {Error} when it cannot be read. */
export async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  let found: unknown;
  try {
    found = path.endsWith(".toml") ? parseToml(text) : JSON.parse(text);
  } catch (cause) {
    const [reason] = (cause as Error).message.split("\n");
    throw new RangeError(
      `Cannot read config ${path}: ${reason}; write JSON, or TOML in a file that ends in .toml`,
      {
        cause,
      },
    );
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new RangeError(
      `Cannot read config ${path}: it is no object; write sections like "train" and "model"`,
    );
  }
  return found as Record<string, unknown>;
}
