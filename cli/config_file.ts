// A run's config from a file, in JSON or TOML by its ending, or from a kept model.
import { parse as parseToml } from "smol-toml";
import { readText } from "../formats/files.ts";
import { readModelConfig } from "../training/load_model.ts";
import { valueOf, type Words } from "./options.ts";

/**
 * What `--config` names; without it the config of the model that `--from` names; without either, null.
 * @throws {RangeError} when it is none; {Error} when it cannot be read.
 */
export async function givenConfig(words: Words): Promise<Record<string, unknown> | null> {
  const [path, from] = [valueOf(words, "config"), valueOf(words, "from")];
  if (path !== null) return await readConfigFile(path);
  if (from === null) return null;
  const { train, ...rest } = await readModelConfig(from);
  // Where the model itself started, and whom it learned from, is behind it.
  return { ...rest, train: { ...train, from: null, conversion: null, teacher: null } };
}

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
