// Moves a checkpoint between memory and disk in a process of its own and prints the most memory the process had, as the
// system counted it: deno run tests/safetensors_memory.ts write|make|read PATH BYTES [STEP].
import { readCheckpoint, writeCheckpoint } from "../training/checkpoint.ts";
import { writeSafetensors } from "../formats/safetensors_write.ts";

const TENSORS = 64;

const [what, path, bytes, step = "1"] = Deno.args;
const each = Number(bytes) / TENSORS / 4;
const names = Array.from({ length: TENSORS }, (_, at) => `layers.${at}`);
const values = (name: string) => new Float32Array(each).fill(names.indexOf(name) + 0.5);

switch (what) {
  case "write": {
    const tensors = names.map((name) => [name, { values: values(name), shape: [each] }]);
    await writeCheckpoint(path, Object.fromEntries(tensors), { step });
    break;
  }
  case "make": {
    const tensors = names.map((name) => [name, { dtype: "F32", shape: [each], data: () => values(name) }]);
    await writeSafetensors(path, Object.fromEntries(tensors), { step });
    break;
  }
  case "read": {
    const { tensors } = await readCheckpoint(path);
    for (const name of names) {
      const found = tensors[name].values;
      if (found.length !== each || found[each - 1] !== names.indexOf(name) + 0.5) {
        throw new Error(`${name} is wrong`);
      }
    }
    break;
  }
  default:
    throw new RangeError(`Cannot do ${what}: say write, make or read`);
}
const status = await Deno.readTextFile("/proc/self/status");
console.log(1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]));
