// Safetensors beside the reference reader, where Python has it: our files open there, and of damaged files it takes what we
// take. The few that it takes alone are named in safetensors_test.ts.
import { assert, assertEquals } from "@std/assert";
import { bitsOf, dtypes } from "../formats/number_formats.ts";
import { type TensorToWrite, writeSafetensors } from "../formats/safetensors_write.ts";
import { random } from "../tensor/random.ts";
import { damaged, readWatched } from "./safetensors_fuzz.ts";

const CASES = 4000;

/** Reads files one after another, each behind its length, and prints what it makes of each as a line of JSON. */
const program = `
import hashlib, json, struct, sys
import safetensors
stream = sys.stdin.buffer
while head := stream.read(8):
    try:
        tensors = safetensors.deserialize(stream.read(struct.unpack("<Q", head)[0]))
        print(json.dumps({name: [t["dtype"], t["shape"], hashlib.sha256(t["data"]).hexdigest()] for name, t in tensors}))
    except safetensors.SafetensorError as error:
        print(json.dumps(str(error)))
`;

async function python(program: string, input: Uint8Array<ArrayBuffer>): Promise<string> {
  const process = new Deno.Command("python3", {
    args: ["-c", program],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { PYTHONIOENCODING: "utf-8" },
  }).spawn();
  const writer = process.stdin.getWriter();
  const [output] = await Promise.all([process.output(), writer.write(input).then(() => writer.close())]);
  assert(output.success, new TextDecoder().decode(output.stderr));
  return new TextDecoder().decode(output.stdout);
}

const hasReference = await python("import safetensors", new Uint8Array(0)).then(() => true, () => false);

type Found = Record<string, readonly [dtype: string, shape: readonly number[], digest: string]>;

/** What the reference makes of files: their tensors, or the sentence they are refused with. */
async function reference(files: readonly Uint8Array[]): Promise<(Found | string)[]> {
  const parts = files.flatMap((
    file,
  ) => [new Uint8Array(BigUint64Array.of(BigInt(file.length)).buffer), file]);
  const input = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  return (await python(program, input)).trimEnd().split("\n").map((line) => JSON.parse(line));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

Deno.test({
  name: "every kind of number that we write opens in Python (needs python3 with the package safetensors)",
  ignore: !hasReference,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const tensors: Record<string, TensorToWrite> = {};
      const expected: Found = {};
      for (const [at, dtype] of dtypes.entries()) {
        const data = Uint8Array.from(random(at).uniform(bitsOf(dtype)), (value) => Math.floor(256 * value));
        tensors[`größe/${at}`] = { dtype, shape: [2, 4, 1], data };
        expected[`größe/${at}`] = [dtype, [2, 4, 1], await sha256(data)];
      }
      const path = `${folder}/all.safetensors`;
      await writeSafetensors(path, tensors, { "naïve": "✓" });
      assertEquals(await reference([await Deno.readFile(path)]), [expected]);
      const texts = "import json, safetensors, sys\n" +
        "print(json.dumps(safetensors.safe_open(sys.stdin.read(), 'np').metadata()))";
      assertEquals(JSON.parse(await python(texts, new TextEncoder().encode(path))), { "naïve": "✓" });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "of damaged files, Python takes those that we take (needs python3 with the package safetensors)",
  ignore: !hasReference,
  async fn() {
    const files = Array.from({ length: CASES }, (_, seed) => damaged(1e6 + seed));
    const alone = /is there twice|" twice$|is described by \[|past what numbers here count/;
    let [both, neither] = [0, 0];
    for (const [at, theirs] of (await reference(files)).entries()) {
      const ours = await readWatched(files[at]);
      if (typeof ours === "string") {
        assert(
          typeof theirs === "string" || alone.test(ours),
          `seed ${1e6 + at}: the reference takes it; ${ours}`,
        );
        neither++;
        continue;
      }
      const found: Found = {};
      for (const [name, { dtype, shape }] of ours.tensors) {
        found[name] = [dtype, shape, await sha256(await ours.bytes(name))];
      }
      assertEquals(theirs, found, `seed ${1e6 + at}`);
      both++;
    }
    assert(both > CASES / 20 && neither > CASES / 2, `${both} taken, ${neither} refused`);
  },
});
