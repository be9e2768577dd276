// Which controls a command adds to a task: those that its experts make different from each other.
import { assertEquals } from "@std/assert";
import { readCommand } from "../cli/command.ts";
import { outlineRuns, planRuns } from "../cli/plan_runs.ts";
import { experimentsLine } from "../cli/experiment_options.ts";
import { splitWords } from "../cli/options.ts";

async function controlsOf(...words: string[]): Promise<(string | null)[]> {
  const command = readCommand(
    splitWords(["compare", "--routers", "switch", "--seeds", "1", ...words], experimentsLine),
    { routers: [], experts: [], tasks: [] },
    null,
  );
  const { plans } = await planRuns(command, outlineRuns(command));
  return plans.map(({ config }) => config.control).filter((control) => control !== null);
}

Deno.test("linear experts have no dense model of equal parameters, and are told from those that have", async () => {
  const dense = ["dense, equal FLOPs", "dense, equal parameters"];
  const all = ["no experts", "random routing", ...dense, "best known routing"];
  const recall = ["--task", "recall", "--set", "task.facts=64"];
  assertEquals(await controlsOf(...recall), all);
  const linear = all.filter((control) => control !== "dense, equal parameters");
  assertEquals(await controlsOf(...recall, "--experts", "linear"), linear);
  // Without experts there is nothing left to train.
  assertEquals(await controlsOf("--task", "regression"), linear.slice(1));
  // One expert is as wide as all together: both dense controls have its parameters and FLOPs, and nothing is missing.
  assertEquals(await controlsOf(...recall, "--set", "model.experts=1"), all);
});
