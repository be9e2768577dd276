// JSON of files that somebody else wrote. Beside what JSON.parse sees, a reader learns of names that are there twice and of
// whole numbers past 2^53; half surrogates, numbers past the largest and nesting past 127 levels are refused.

/** What JSON says. Whole numbers are bigint, numbers with a fraction or an exponent are number. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** An object as it is written: members in their order, a name as often as it is there. */
export interface JsonObject {
  readonly members: readonly (readonly [name: string, value: Json])[];
}

/** Ends what is being read, by throwing an error that closes with `why`. */
export type Refuse = (why: string) => never;

/** As deep as serde_json goes, which the reference reader of safetensors uses. */
const LEVELS = 127;

/** True for an object, false for everything else. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && "members" in value;
}

/** True for values that say the same. */
export function isSame(one: Json, other: Json): boolean {
  const textOf = (value: Json) =>
    JSON.stringify(value, (_, each) => typeof each === "bigint" ? `whole ${each}` : each);
  return textOf(one) === textOf(other);
}

/** A value as an error quotes it: on one line, and not longer than a line. */
export function quoted(value: Json | undefined): string {
  const text = typeof value === "string"
    ? JSON.stringify(value.slice(0, 80))
    : Array.isArray(value)
    ? `[${value.slice(0, 16).map(quoted).join()}${value.length > 16 ? ",..." : ""}]`
    : isObject(value)
    ? "an object"
    : Number.isInteger(value)
    ? (value as number).toFixed(1)
    : String(value);
  return text.length > 80 ? `${text.slice(0, 76)}...` : text;
}

/** Reads one JSON value; only white space may surround it. */
export function parseJson(text: string, refuse: Refuse): Json {
  const next = tokensOf(text, refuse);
  const value = readValue(next(), next, 0, refuse);
  const rest = next();
  return rest === "" ? value : refuse(`${quoted(rest)} follows its end`);
}

/** Gives the next token of a text each time: a mark, a word or a string in its quotes; "" at the end. */
function tokensOf(text: string, refuse: Refuse): () => string {
  const start = /[ \t\n\r]*([[\]{}:,"]|[^ \t\n\r[\]{}:,"]*)/y;
  return () => {
    const [, token] = start.exec(text)!;
    if (token !== '"') return token;
    const from = start.lastIndex - 1;
    let to = from;
    do {
      to = text.indexOf('"', to + 1);
      if (to < 0) refuse(`a string that begins at character ${from} does not end`);
    } while (isEscaped(text, to));
    start.lastIndex = to + 1;
    return text.slice(from, to + 1);
  };
}

/** True when an odd number of backslashes stands before a place. */
function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text[first - 1] === "\\") first--;
  return (at - first) % 2 === 1;
}

function readValue(token: string, next: () => string, level: number, refuse: Refuse): Json {
  switch (token[0]) {
    case "{":
    case "[": {
      if (level === LEVELS) refuse(`it is nested more than ${LEVELS} levels deep`);
      return token === "[" ? readList(next, level + 1, refuse) : readObject(next, level + 1, refuse);
    }
    case '"':
      return readString(token, refuse);
    default:
      return readWord(token, refuse);
  }
}

function readList(next: () => string, level: number, refuse: Refuse): Json[] {
  const values: Json[] = [];
  let token = next();
  if (token === "]") return values;
  for (;;) {
    values.push(readValue(token, next, level, refuse));
    const mark = next();
    if (mark === "]") return values;
    if (mark !== ",") refuse(`${quoted(mark)} stands where a list goes on or ends`);
    token = next();
  }
}

function readObject(next: () => string, level: number, refuse: Refuse): JsonObject {
  const members: [string, Json][] = [];
  let token = next();
  if (token === "}") return { members };
  for (;;) {
    if (token[0] !== '"') refuse(`${quoted(token)} stands where a name was to be`);
    const name = readString(token, refuse);
    if (next() !== ":") refuse(`no colon follows the name ${quoted(name)}`);
    members.push([name, readValue(next(), next, level, refuse)]);
    const mark = next();
    if (mark === "}") return { members };
    if (mark !== ",") refuse(`${quoted(mark)} stands where an object goes on or ends`);
    token = next();
  }
}

function readString(token: string, refuse: Refuse): string {
  try {
    const text: string = JSON.parse(token);
    if (text.isWellFormed()) return text;
  } catch {
    // said below
  }
  return refuse(`the string ${quoted(token)} is not well formed`);
}

function readWord(token: string, refuse: Refuse): null | boolean | number | bigint {
  if (token === "null") return null;
  if (token === "true" || token === "false") return token === "true";
  // The reference, too, takes -0 and what no 64 bits hold for numbers with a fraction.
  if (/^(0|-?[1-9]\d{0,19})$/.test(token)) return BigInt(token);
  const value = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(token) ? Number(token) : NaN;
  if (Number.isFinite(value)) return value;
  return refuse(token === "" ? "it ends too early" : `${quoted(token)} is no value`);
}
