// Damaged safetensors files without end, a function of their number alone, and what must come of each: a refusal in one
// sentence, or what a second, simpler reader here finds. No reader asks for more bytes than the file has.
import { assert, assertEquals } from "@std/assert";
import { bitsOf, dtypes } from "../formats/number_formats.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { encodeSafetensors, type TensorToWrite } from "../formats/safetensors_write.ts";
import { random } from "../tensor/random.ts";
import oracle from "./oracles/safetensors_dtypes.json" with { type: "json" };
import { entry, fileOf } from "./safetensors_bytes.ts";

/** What a case takes its chances from: a whole number from 0, below the one given. */
type Draw = (below: number) => number;

const published = Uint8Array.fromBase64(oracle.file);
const every = Object.fromEntries(dtypes.map((dtype, at): [string, TensorToWrite] => {
  const data = new Uint8Array(bitsOf(dtype)).fill(at);
  return [`t${at}`, { dtype, shape: [2, 4], data }];
}));
const two = { "a/b": entry("F32", [2], 0, 8), c: entry("U8", [0, 3], 8, 8), d: entry("I16", [], 8, 10) };
const whole = [published, encodeSafetensors(every, { "k\n": '"v"' }), fileOf(two, 10), fileOf("{}", 0)];

const numbers = [
  "0",
  "-1",
  "1",
  "8",
  "12",
  "-0",
  "1.0",
  "4e0",
  "1e999",
  "00",
  "9007199254740993",
  "4294967296",
]
  .concat("18446744073709551615", "18446744073709551616", "1" + "0".repeat(400), "1099511627776", "NaN");
const pieces = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "null",
  "true",
  '"F32"',
  '"F4"',
  '"dtype":"I8",',
  "\\ud800",
  "\u00e9",
]
  .concat(
    ' "__metadata__" :{},',
    '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},',
    "[".repeat(200),
    "\ufeff",
  );

/** Changes a header's text in one place. */
function changeText(text: string, draw: Draw): string {
  const tokens = [...text.matchAll(/"[^"]*"|-?\d+|[[\]{}:,]/g)];
  if (tokens.length === 0) return pieces[draw(pieces.length)];
  const token = tokens[draw(tokens.length)];
  const [from, to] = [token.index, token.index + token[0].length];
  const other = tokens[draw(tokens.length)][0];
  switch (draw(7)) {
    case 0:
      return text.slice(0, from) + text.slice(to);
    case 1:
      return text.slice(0, from) + other + text.slice(to);
    case 2:
      return text.slice(0, from) + pieces[draw(pieces.length)] + text.slice(from);
    case 3: {
      const until = tokens[draw(tokens.length)].index;
      return text.slice(0, Math.max(from, until)) + text.slice(Math.min(from, until));
    }
    case 4: {
      const [by, which] = [draw(9) - 4, draw(8)];
      let at = 0;
      return text.replaceAll(
        /\[(\d+),(\d+)\]\}/g,
        (all, begin, end) => at++ === which ? `[${Number(begin) + by},${Number(end) + by}]}` : all,
      );
    }
    default: {
      const digits = [...text.matchAll(/-?\d+/g)];
      if (digits.length === 0) return text + pieces[draw(pieces.length)];
      const { index, 0: old } = digits[draw(digits.length)];
      return text.slice(0, index) + numbers[draw(numbers.length)] + text.slice(index + old.length);
    }
  }
}

/** Changes a file's bytes in one place. */
function changeBytes(bytes: Uint8Array<ArrayBuffer>, draw: Draw): Uint8Array<ArrayBuffer> {
  const at = draw(bytes.length + 1);
  const length = draw(2) ? draw(4) : draw(bytes.length - at + 1);
  switch (draw(5)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + length)]);
    case 2:
      return new Uint8Array([...bytes.subarray(0, at + length), ...bytes.subarray(at)]);
    default: {
      const changed = bytes.slice();
      if (bytes.length > 0) {
        changed[draw(2) ? draw(Math.min(8, bytes.length)) : draw(bytes.length)] ^= 1 << draw(8);
      }
      return changed;
    }
  }
}

/** The damaged file of a number. */
export function damaged(seed: number): Uint8Array<ArrayBuffer> {
  const chances = random(seed).split("damaged safetensors").uniform(64);
  let at = 0;
  const draw: Draw = (below) => Math.floor(chances[at++] * below);
  let bytes = whole[draw(whole.length)];
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  let text = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  for (let changes = draw(4); changes > 0; changes--) text = changeText(text, draw);
  bytes = fileOf(text, bytes.slice(8 + length));
  for (let changes = draw(8) < 3 ? 1 + draw(2) : 0; changes > 0; changes--) bytes = changeBytes(bytes, draw);
  return bytes;
}

/** Reads a file while watching what memory is asked for; the sentence when it is refused. */
export async function readWatched(
  bytes: Uint8Array,
): Promise<Awaited<ReturnType<typeof readSafetensors>> | string> {
  const source = {
    name: "damaged",
    bytes: bytes.length,
    read(from: number, into: Uint8Array) {
      assert(
        from + into.length <= bytes.length,
        `asks for ${into.length} bytes from ${from} of ${bytes.length}`,
      );
      return Promise.resolve(into.set(bytes.subarray(from, from + into.length)));
    },
  };
  try {
    return await readSafetensors(source);
  } catch (error) {
    assert(error instanceof RangeError, String((error as Error).stack));
    assert(/^Cannot read damaged: [^\n]{8,600}$/.test(error.message), error.message);
    return error.message;
  }
}

/** Checks one damaged file; true when it was whole after all. */
export async function check(seed: number): Promise<boolean> {
  const bytes = damaged(seed);
  const file = await readWatched(bytes);
  if (typeof file === "string") return false;
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { __metadata__: texts, ...entries } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + length)),
  );
  assertEquals(file.metadata, texts ?? {}, `seed ${seed}`);
  assertEquals([...file.tensors.keys()].sort(), Object.keys(entries).sort(), `seed ${seed}`);
  let covered = 0;
  for (const [name, { dtype, shape, bytes: size }] of file.tensors) {
    const { data_offsets: [from, to], ...rest } = entries[name];
    assertEquals([rest.dtype, rest.shape, to - from], [dtype, [...shape], size], `seed ${seed}`);
    assertEquals(
      shape.reduce((product, one) => product * one, bitsOf(dtype)),
      8 * size,
      `seed ${seed}`,
    );
    assertEquals(from, covered, `seed ${seed}`);
    assertEquals(await file.bytes(name), bytes.slice(8 + length + from, 8 + length + to), `seed ${seed}`);
    covered = to;
  }
  assertEquals(8 + length + covered, bytes.length, `seed ${seed}`);
  return true;
}

/** Tests the damaged files of many numbers. */
export function testDamaged(from: number, count: number): void {
  Deno.test(`${count} damaged safetensors files are refused in one sentence or read as they are`, async () => {
    let taken = 0;
    for (let seed = from; seed < from + count; seed++) if (await check(seed)) taken++;
    // The chances are the same everywhere; both ends of them are met.
    assert(taken > count / 20 && taken < count / 2, `${taken} of ${count} were read`);
  });
}
