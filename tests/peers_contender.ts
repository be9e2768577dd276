// A contender for tests of the peers bench: y = 2 x, done right, or wrong in the way its first argument names.
import { Missing, type Prepared, serve, type Task } from "../bench/peers/contender.ts";

const [manner] = Deno.args;

function prepare(task: Task): Promise<Prepared> {
  if (manner === "lacks it") throw new Missing("it has no doubling");
  const x = task.floats("x");
  const y = () => x.map((value, at) => 2 * value + (manner === "wrong" && at === 3 ? 1e-3 : 0));
  const outputs = (): Record<string, Float32Array> => {
    switch (manner) {
      case "nothing":
        return {};
      case "short":
        return { y: y().subarray(1) };
      case "not a number":
        return { y: y().map(() => NaN) };
      default:
        return { y: y() };
    }
  };
  return Promise.resolve({
    outputs: () => Promise.resolve(outputs()),
    run(count) {
      console.log("a library that talks");
      if (manner === "crashes" || (manner === "crashes at first" && task.name === "doubling")) {
        console.error("Segmentation error in a library");
        Deno.exit(7);
      }
      if (manner === "hangs") return new Promise((resolve) => setTimeout(resolve, 1e6));
      for (let done = 0; done < count; done++) y();
      return Promise.resolve();
    },
  });
}

if (manner === "spins") {
  const forever = "data:text/javascript,for (;;);";
  new Worker(forever, { type: "module" });
}

await serve(() => {
  if (manner === "does not open") throw new Missing("it has no licence");
  return Promise.resolve({ about: `doubling, ${manner}`, prepare });
});
