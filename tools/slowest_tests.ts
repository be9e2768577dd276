// `deno task test`, and then the ten tests that took longest, with their seconds. A machine that does other work at the same
// time, or a first run that compiles and downloads, gives other figures.
import configuration from "../deno.json" with { type: "json" };

const MOST = 10;

interface Timed {
  readonly name: string;
  readonly file: string;
  readonly seconds: number;
}

const ENTITIES: Readonly<Record<string, string>> = { quot: '"', apos: "'", lt: "<", gt: ">", amp: "&" };

/** Tests of a report as JUnit writes it, slowest first. */
export function slowest(report: string): Timed[] {
  const timed = [...report.matchAll(/<testcase ([^>]*)>/g)].map(([, attributes]): Timed => {
    const attribute = (name: string) =>
      (attributes.match(new RegExp(`(?:^| )${name}="([^"]*)"`))?.[1] ?? "")
        .replace(/&(\w+);/g, (whole, entity) => ENTITIES[entity] ?? whole);
    return { name: attribute("name"), file: attribute("classname"), seconds: Number(attribute("time")) };
  });
  return timed.sort((a, b) => b.seconds - a.seconds);
}

async function main(words: readonly string[]): Promise<number> {
  const path = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const [, ...task] = configuration.tasks.test.command.split(" ");
    const args = [...task, `--junit-path=${path}`, ...words];
    const { code } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn().status;
    for (const { name, file, seconds } of slowest(await Deno.readTextFile(path)).slice(0, MOST)) {
      console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}: ${name}`);
    }
    return code;
  } finally {
    await Deno.remove(path);
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
