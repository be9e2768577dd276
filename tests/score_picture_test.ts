// README's picture is the first one of a report, panel by panel, and a report without it is refused.
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { renderReport } from "../report/report.ts";
import { scorePicture } from "../tools/score_picture.ts";
import { controls, routers, runsOf } from "./made_up_runs.ts";

const experiment = { name: "compare", about: "?", command: "deno task experiments", date: "2026-11-28" };

Deno.test("the picture holds a titled panel of every task", () => {
  const runs = ["recall", "regimes"].flatMap((task) =>
    runsOf(3, [...Object.values(routers), ...Object.values(controls)], { task }).runs
  );
  const picture = scorePicture(renderReport(experiment, runs, []));
  assertEquals(picture.match(/<svg x="/g)?.length, 2);
  for (const title of [">recall</text>", ">regimes</text>", "--ink", "prefers-color-scheme: dark"]) {
    assertStringIncludes(picture, title);
  }
});

Deno.test("a report without controls has no such picture", () => {
  const { runs } = runsOf(2, Object.values(routers));
  assertThrows(
    () => scorePicture(renderReport(experiment, runs, [])),
    RangeError,
    "Cannot draw routing scores",
  );
});
