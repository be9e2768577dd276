// One side of `deno task bench:against`: trains with the modules of a checkout, so many steps at each line it reads, and
// answers with what they took. It must run under that checkout's configuration.
const [root, name, size, threads] = Deno.args;
const from = (path: string) => import(new URL(path, root).href);
const { cpu, findTask, parseTaskOptions } = await from("mod.ts");
const { configOf, createTrainer } = await from("training/mod.ts");

const task = findTask(name);
const settings: Record<string, unknown> = { ...task.defaults, ...task.sizes[size] };
const ofTask = Object.entries(settings).filter(([path]) => path.startsWith("task."));
const options = Object.fromEntries(ofTask.map(([path, value]) => [path.slice("task.".length), value]));
const data = await task.load(parseTaskOptions(task, options));
const config = configOf({
  "task.name": name,
  ...settings,
  "train.steps": 1_000_000,
  "train.evaluations": 1,
  "train.recordEvery": 1000,
});
const backend = await cpu({ threads: Number(threads) });
const trainer = await createTrainer(config, { backend, data });

/** Milliseconds that this thread has computed: what other programs take of the machine is no part of them. */
function computed(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
}

for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const steps = Number(text);
  const start = computed();
  let least = Infinity, loss = NaN;
  for (let step = 0; step < steps; step++) {
    const before = performance.now();
    ({ row: { loss } } = await trainer.step());
    least = Math.min(least, performance.now() - before);
  }
  console.log(JSON.stringify({ computed: (computed() - start) / steps, least, loss }));
}
trainer.close();
backend.close();
