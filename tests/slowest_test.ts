// `deno task test:slowest` reads the report that `deno test` writes for other programs.
import { assertEquals } from "@std/assert";
import { slowest } from "../tools/slowest_tests.ts";

Deno.test("the slowest test comes first, by the name it has", () => {
  const report = `<testsuites name="deno test" tests="2" time="9.9">
    <testsuite name="./tests/a_test.ts" tests="2">
        <testcase name="quick" classname="./tests/a_test.ts" time="0.424" line="6" col="6">
        </testcase>
        <testcase name="&quot;a&quot; &amp; b &lt; c" classname="./tests/a_test.ts" time="12.500" line="7" col="6">
        </testcase>
    </testsuite>
</testsuites>`;
  assertEquals(slowest(report), [
    { name: '"a" & b < c', file: "./tests/a_test.ts", seconds: 12.5 },
    { name: "quick", file: "./tests/a_test.ts", seconds: 0.424 },
  ]);
});
