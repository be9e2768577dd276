// A kind of experts of one's own: maxout units, max(x A, x B) W (Goodfellow et al. 2013), compared with the built-in ones on
// the same task, router and seed. Run it: deno run examples/own_expert.ts
import {
  cpu,
  type ExpertPlugin,
  findTask,
  groupedMatmul,
  maximum,
  parseTaskOptions,
  registerExperts,
  unitsIn,
  unitsOut,
} from "@switchyard/moe";
import { configOf, train } from "@switchyard/moe/training";
import * as z from "zod";

const maxout: ExpertPlugin<Record<string, never>> = {
  name: "maxout",
  about: "max(x A, x B) W: the larger of two linear functions for each hidden unit.",
  options: z.strictObject({}),
  parameters: ({ D, F }) => 3 * D * F,
  flopPerToken: ({ D, F }) => 6 * D * F,
  activationsPerToken: ({ D, F }) => D + 3 * F,
  create(dims, _options, init) {
    const a_EDF = unitsIn("a", dims, init);
    const b_EDF = unitsIn("b", dims, init);
    const out_EFD = unitsOut("out", dims, 1 / Math.sqrt(dims.F), init);
    return {
      params: { a: a_EDF, b: b_EDF, out: out_EFD },
      apply({ rows, offset_O }) {
        const units_NF = maximum(
          groupedMatmul(rows, a_EDF, offset_O),
          groupedMatmul(rows, b_EDF, offset_O),
        );
        return groupedMatmul(units_NF, out_EFD, offset_O);
      },
    };
  },
};
registerExperts(maxout);

const task = findTask("recall");
const data = await task.load(parseTaskOptions(task, { facts: 256 }));
using backend = await cpu();
for (const experts of ["maxout", "feed-forward"]) {
  const config = configOf(task.defaults, {
    "task.name": task.name,
    "task.facts": 256,
    "experts.name": experts,
    "train.steps": 100,
  });
  using run = await train(config, { backend, data });
  console.log(`${experts}: loss ${run.record.end!.loss.toFixed(3)} nats`);
}
