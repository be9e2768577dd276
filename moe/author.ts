// Errors from a plugin's code, with the plugin's name and the place in its author's file: what a sum or a product of ours
// refuses says little to somebody who wrote neither.

/** Where this package's files begin; stack frames below it are not the author's. */
const own = new URL("../", import.meta.url).href;
/** Files, from there, whose functions plugins call. */
const calledByPlugins = /^(?:tensor|kernels|cpu|gpu|routers|experts)\//;
/** A frame of V8, JavaScriptCore or SpiderMonkey: the address of a file, its line and column. */
const frame = /((?:file|https?|blob|data):[^\s()]*?):(\d+):(\d+)\)?$/;

/**
 * What a plugin does, with its mistakes named.
 * @param called What errors call the plugin: `router "switch"`.
 * @throws What `body` throws; where a frame of its stack lies outside the package, with the plugin's name and that line.
 */
export function asAuthored<Result>(called: string, body: () => Result): Result {
  try {
    const result = body();
    if (!(result instanceof Promise)) return result;
    return result.catch((error) => {
      throw withPlace(error, called);
    }) as Result;
  } catch (error) {
    throw withPlace(error, called);
  }
}

function withPlace(error: unknown, called: string): unknown {
  if (!(error instanceof Error)) return error;
  const place = authorsPlace(error.stack ?? "");
  if (place === null) return error;
  const { name, message } = error;
  // A refusal of ours keeps its kind and its words; what an engine or the author says gets ours around it.
  if (message.startsWith("Cannot ") && !isEngines(message)) {
    const text = `${message} (in ${called}, ${place})`;
    return error instanceof TypeError
      ? new TypeError(text, { cause: error })
      : new RangeError(text, { cause: error });
  }
  return new RangeError(`Cannot go on with ${called}: ${name}: ${message} (${place})`, { cause: error });
}

/**
 * The innermost frame outside the package (examples and tests count as outside), if nothing but what plugins call lies
 * between it and the error: what lies below is whoever called us.
 */
function authorsPlace(stack: string): string | null {
  for (const line of stack.split("\n")) {
    const [, file, row, column] = line.trim().match(frame) ?? [];
    if (file === undefined) continue;
    const path = file.startsWith(own) ? file.slice(own.length) : null;
    if (path === null || /^(?:examples\/|tests\/.*_test\.ts$)/.test(path)) {
      return `${
        file.startsWith("file:") ? decodeURIComponent(new URL(file).pathname) : file
      }:${row}:${column}`;
    }
    if (!calledByPlugins.test(path)) return null;
  }
  return null;
}

/** V8 opens sentences of its own with the same word. */
function isEngines(message: string): boolean {
  return /^Cannot (read|set) propert|^Cannot (access|convert|destructure|assign to|mix|add property|redefine)/
    .test(message);
}
