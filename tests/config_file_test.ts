// Config files cut anywhere or with any byte changed: a config, or one sentence that names the file, the value or the choices.
import { assert, assertMatch } from "@std/assert";
import { readConfigFile } from "../cli/config_file.ts";
import { findRouter } from "../routers/registry.ts";
import { configOf, flatten, parseConfig } from "../training/config.ts";
import { random } from "../tensor/random.ts";

const whole = {
  json: JSON.stringify(
    configOf({ "train.steps": 12, "router.name": "gshard", "train.learningRate": 0.002 }),
    null,
    1,
  ),
  toml: '[train]\nsteps = 12\nlearningRate = 0.002\n\n[router]\nname = "gshard"\nsecond = "always"\n',
};

for (const [ending, text] of Object.entries(whole)) {
  Deno.test(`a config in ${ending}, damaged: refused in one sentence, or a config`, async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/run.${ending}`;
    const bytes = new TextEncoder().encode(text);
    const draws = random(6).uniform(2000);
    const cuts = Array.from(bytes, (_, length) => bytes.subarray(0, length));
    const changes = Array.from({ length: 1000 }, (_, at) => {
      const changed = bytes.slice();
      changed[Math.floor(draws[2 * at] * bytes.length)] ^= 1 << Math.floor(8 * draws[2 * at + 1]);
      return changed;
    });
    let [read, refused] = [0, 0];
    for (const damaged of [bytes, ...cuts, ...changes]) {
      await Deno.writeFile(path, damaged);
      try {
        const config = parseConfig(await readConfigFile(path));
        assert(Object.keys(flatten(config)).length > 20 && findRouter(config.router.name));
        read++;
      } catch (error) {
        assert(error instanceof Error);
        assertMatch(error.message, /^Cannot [^\n]+$/);
        refused++;
      }
    }
    assert(read > 0 && refused > 100, `${read} read, ${refused} refused`);
    await Deno.remove(folder, { recursive: true });
  });
}
