// GGUF as it is written: read back by the specification, and by the gguf package where Python has it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { writeGguf } from "../formats/gguf_write.ts";
import type { TensorToMake, TensorToWrite } from "../formats/safetensors_write.ts";
import { decodeGguf } from "./gguf_file.ts";
import { inOwnFolder } from "./own_folder.ts";

const tensors: Readonly<Record<string, TensorToWrite | TensorToMake>> = {
  odd: { dtype: "F32", shape: [3], data: Float32Array.of(1, -2, 0.5) },
  matrix: { dtype: "F32", shape: [2, 3], data: () => Float32Array.of(1, 2, 3, 4, 5, 6) },
  one: { dtype: "F32", shape: [], data: Float32Array.of(7) },
  counts: { dtype: "I32", shape: [2], data: Int32Array.of(-1, 9) },
};
const texts = { "general.architecture": "mine", "mine.note": "Größe" };

Deno.test("texts and tensors are read back, each at a multiple of 32 bytes", () =>
  inOwnFolder(async (folder) => {
    const path = `${folder}/model.gguf`;
    const places = await writeGguf(path, tensors, texts);
    const file = await Deno.readFile(path);
    const found = decodeGguf(file);
    assertEquals(found.texts, texts);
    assertEquals(Object.keys(found.tensors), Object.keys(tensors));
    assertEquals(found.tensors.matrix, { kind: 0, shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) });
    assertEquals([found.tensors.one.shape, found.tensors.counts.kind], [[1], 26]);
    for (const from of Object.values(places)) assertEquals(from % 32, 0);
    assertEquals(new Float32Array(file.slice(places.one, places.one + 4).buffer), Float32Array.of(7));
    assertEquals(file.length % 32, 0);
  }));

const program = `
import json, sys
from gguf import GGUFReader
reader = GGUFReader(sys.argv[1])
texts = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
tensors = {t.name: [t.tensor_type.name, [int(n) for n in reversed(t.shape)], [float(v) for v in t.data.reshape(-1)]] for t in reader.tensors}
print(json.dumps([texts, tensors]))
`;

async function python(...args: string[]): Promise<string | null> {
  const process = new Deno.Command(Deno.env.get("PYTHON") ?? "python3", {
    args: ["-c", ...args],
    stderr: "null",
  });
  const { success, stdout } = await process.output().catch(() => ({
    success: false,
    stdout: new Uint8Array(),
  }));
  return success ? new TextDecoder().decode(stdout) : null;
}

Deno.test({
  name: "the gguf package of Python reads what is written (needs python3 with the package gguf)",
  ignore: await python("import gguf") === null,
  fn: () =>
    inOwnFolder(async (folder) => {
      await writeGguf(`${folder}/model.gguf`, tensors, texts);
      const read = await python(program, `${folder}/model.gguf`);
      assert(read !== null, "the package refuses the file");
      assertEquals(JSON.parse(read), [texts, {
        odd: ["F32", [3], [1, -2, 0.5]],
        matrix: ["F32", [2, 3], [1, 2, 3, 4, 5, 6]],
        one: ["F32", [1], [7]],
        counts: ["I32", [2], [-1, 9]],
      }]);
    }),
});

Deno.test("what GGUF cannot hold is refused before anything is written", () =>
  inOwnFolder(async (folder) => {
    const path = `${folder}/none.gguf`;
    const one = (tensor: Partial<TensorToWrite>, name = "a") => ({
      [name]: { dtype: "F32", shape: [1], data: new Float32Array(1), ...tensor } as TensorToWrite,
    });
    const refused: readonly (readonly [Record<string, TensorToWrite>, Record<string, string>, string])[] = [
      [{}, {}, 'Cannot write GGUF: its texts have no "general.architecture"'],
      [one({ dtype: "F64" }), texts, 'tensor "a" is of F64; choose F32, F16, I32, BF16'],
      [one({ shape: [1, 1, 1, 1, 1] }), texts, 'tensor "a" has 5 dimensions; the format has up to 4'],
      [one({}, "a".repeat(64)), texts, "has a name of more than 63 bytes"],
    ];
    for (const [given, said, why] of refused) {
      await assertRejects(() => writeGguf(path, given, said), RangeError, why);
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));
