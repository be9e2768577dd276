// records.parquet beside records.csv: columns keep their types, and what would be lost in text is not.
import { assertEquals } from "@std/assert";
import { parquetMetadata } from "hyparquet";
import { tableCsv } from "../report/csv.ts";
import { tableParquet } from "../report/parquet.ts";
import { recordTable } from "../report/record_table.ts";
import type { RunRecord, StepRow } from "../training/record.ts";
import { recordOf, routers } from "./made_up_runs.ts";
import { checkTables } from "./record_tables.ts";

/** Runs with everything that a cell may hold: nothing, quotes, formulas, large and broken numbers. */
function odd(): RunRecord[] {
  const plain = recordOf(routers.gshard, 1, { steps: 3 });
  const named = recordOf({ ...routers.switch, router: '=cmd(1, "größe")' }, 0, { steps: 2 });
  const steps = named.steps.map((row, at): StepRow => ({
    ...row,
    layers: at === 0 ? [] : row.layers,
    learningRate: 2 ** -1074,
    scalars: { "temperature, layer 1": [NaN, -Infinity][at] },
  }));
  const header = { ...named.header, seed: Number.MAX_SAFE_INTEGER };
  return [plain, { ...named, header, steps }];
}

Deno.test("records.parquet holds what records.csv does, row by row", async () => {
  const runs = odd();
  const table = recordTable(runs);
  const rows = await checkTables(tableCsv(table), await tableParquet(table));
  const points = runs.reduce((sum, { evaluations }) => sum + evaluations.length, 0);
  assertEquals(rows.length, 3 * 2 + (1 + 2) + points);
  const [broken] = rows.filter(({ router, step }) => router === '=cmd(1, "größe")' && step === 0n);
  assertEquals([broken.seed, broken.layer, broken.dropped_share], [2n ** 53n - 1n, null, null]);
  assertEquals([broken.learning_rate, broken["scalar_temperature, layer 1"]], [5e-324, NaN]);
  assertEquals(rows[0]["scalar_temperature, layer 1"], null);
});

Deno.test("a table of more rows than a row group is read back whole", async () => {
  const rows = Array.from(
    { length: 2500 },
    (_, at) => ({ run: `run ${at}`, step: at, loss: at % 7 === 0 ? null : 1 / at }),
  );
  const table = { columns: { run: "text", step: "whole", loss: "number" }, rows } as const;
  const bytes = await tableParquet(table);
  assertEquals(parquetMetadata(bytes.slice().buffer).row_groups.length, 2);
  await checkTables(tableCsv(table), bytes);
});

Deno.test("no runs make a table of no rows", async () => {
  const table = recordTable([]);
  assertEquals(await checkTables(tableCsv(table), await tableParquet(table)), []);
});
