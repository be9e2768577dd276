// Holds routers of a file anywhere to the contract that every router here keeps: `deno task check:router FILE`.
import { elsewhere, pathFrom } from "../cli/paths.ts";
import { loadPlugins } from "../cli/plugin.ts";
import { runTask, valueOf, type Words } from "../cli/options.ts";
import { readAssignment } from "../experiments/arms.ts";
import { asAuthored } from "../moe/author.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { adapter } from "../tests/gpu.ts";
import { onCpu, onGpu, type Place } from "../tests/place.ts";
import { type Check, routerChecks, type Subject, subjectOf, type Variant } from "../tests/router_contract.ts";

/** Its command line. */
export const line = {
  task: "check:router",
  about:
    "Holds the routers of a file to the contract that every router keeps, and says what is broken and what to do.",
  operands: "FILE",
  options: {
    set: {
      about: "an option of the router, other than its default",
      value: "router.NAME=VALUE",
      repeatable: true,
    },
    "by-loss": {
      about: "a parameter that only a loss teaches; all others must be reached through weights",
      value: "NAME",
      repeatable: true,
    },
    noisy: { about: "training draws random numbers; without it, nothing is checked about that" },
    device: { about: "where", value: "cpu|webgpu|both", default: "both where there is a WebGPU adapter" },
  },
} as const;

/** A rule that a router breaks, in its author's terms. */
export interface Breach {
  readonly rule: string;
  /** What was seen. */
  readonly found: string;
  readonly means: string;
}

/** Rules of the contract that a plugin breaks in one place, and how many it was held to. */
export async function breachesOf(
  plugin: AnyRouterPlugin,
  variant: Variant,
  place: Place,
): Promise<{ readonly rules: number; readonly breaches: readonly Breach[] }> {
  const subject = subjectOf(plugin, variant, place);
  const applying = routerChecks.filter((check) => applies(check, subject, place));
  const breaches: Breach[] = [];
  for (const check of applying) {
    try {
      await asAuthored(`router "${plugin.name}"`, async () => await check.run(subject));
    } catch (error) {
      const [found] = (error instanceof Error ? error.message : String(error)).split("\n");
      breaches.push({ rule: check.name, found, means: check.means });
    }
  }
  return { rules: applying.length, breaches };
}

function applies({ where, applies = () => true }: Check, subject: Subject, place: Place): boolean {
  if (where === "on paper") return place === onCpu;
  return (where !== "webgpu" || place !== onCpu) && applies(subject);
}

/** Lines that say what was broken, and how much was kept. */
export function describe(where: string, rules: number, breaches: readonly Breach[]): string[] {
  return [
    `${where}: ${rules - breaches.length} of ${rules} rules kept`,
    ...breaches.flatMap((
      { rule, found, means },
    ) => [`  broken: ${rule}`, `    found: ${found}`, `    to do: ${means}`]),
  ];
}

function optionsOf({ name }: AnyRouterPlugin, given: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(given.flatMap((word) => {
    const { path, router, values: [value, ...more] } = readAssignment("set", word);
    if (more.length > 0) {
      throw new RangeError(`Cannot use --set ${word}: a check takes one value, not a list`);
    }
    if (router === null) {
      throw new RangeError(`Cannot use --set ${word}: a check sets options of routers alone`);
    }
    return router === name ? [[path.slice(path.indexOf(".") + 1), value]] : [];
  }));
}

async function placesOf(words: Words): Promise<(readonly [string, Place])[]> {
  const device = valueOf(words, "device") ?? (adapter ? "both" : "cpu");
  if (!["cpu", "webgpu", "both"].includes(device)) {
    throw new RangeError(`Cannot use --device ${device}: there are cpu, webgpu, both`);
  }
  if (device !== "cpu" && !adapter) {
    throw new RangeError(
      `Cannot use --device ${device}: there is no WebGPU adapter; deno task doctor says why`,
    );
  }
  const places: (readonly [string, Place])[] = [];
  if (device !== "webgpu") places.push(["on the CPU", onCpu]);
  if (device !== "cpu") places.push(["on WebGPU", await onGpu()]);
  return places;
}

async function main(words: Words): Promise<void> {
  const [path, ...more] = words.names;
  if (path === undefined || more.length > 0) {
    throw new RangeError(
      'Cannot check a router: give one file, like "deno task check:router ./my_router.ts"',
    );
  }
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const { routers } = await loadPlugins([pathFrom(stands, "plugin", path)]);
  if (routers.length === 0) throw new RangeError(`Cannot check ${path}: it exports no router`);
  const places = await placesOf(words);
  let broken = 0;
  for (const plugin of routers) {
    const variant: Variant = {
      options: optionsOf(plugin, words.values.set),
      byLoss: words.values["by-loss"],
      ...(words.flags.noisy ? { noisy: true } : {}),
    };
    console.log(`router "${plugin.name}" ${JSON.stringify(variant.options)}`);
    for (const [where, place] of places) {
      const { rules, breaches } = await breachesOf(plugin, variant, place);
      broken += breaches.length;
      console.log(describe(where, rules, breaches).join("\n"));
    }
  }
  if (broken > 0) Deno.exitCode = 1;
}

if (import.meta.main) await runTask(line, main);
