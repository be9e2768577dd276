// What routing could reach and what it comes to without any skill: the package's controls, trained in the page on the same
// settings, as marks beside the runs' losses.
import type { RunConfig } from "../training/run_schema.ts";
import { isOpen } from "./run/progress.ts";
import { createRun, type Run } from "./run/run.ts";
import type { Mark } from "./charts/line_chart.ts";

const controls = ["random routing", "best known routing"] as const;

/** Marks of the settings that were asked for last. */
export interface Marks {
  readonly found: readonly Mark[];
  /** True while controls train. */
  readonly busy: boolean;
  /** Names the settings, or none to have no marks; what is known of them is there at once. */
  want(config: RunConfig | null): void;
  /** Trains the controls of those settings that are not known yet, one after the other. */
  start(): void;
}

/** A run that no page watches. */
const alone = {
  names: {},
  device: "cpu",
  threads: 1,
  scene: null,
  sentence: null,
  corpus: "",
} as const;

/** No marks yet. */
export function createMarks(version: string, changed: () => void): Marks {
  const known = new Map<string, number>();
  let wanted: RunConfig | null = null;
  let run: Run | null = null;
  const keyOf = (config: RunConfig, control: string) => JSON.stringify({ ...config, router: null, control });
  const marks: Marks = {
    get found() {
      if (!wanted) return [];
      const config = wanted;
      return controls.flatMap((control) => {
        const value = known.get(keyOf(config, control));
        return value === undefined ? [] : [{ label: control, value }];
      });
    },
    get busy() {
      return run !== null;
    },
    want(config) {
      run?.stop();
      run = null;
      wanted = config;
    },
    start() {
      if (!wanted || run) return;
      const config = wanted;
      const control = controls.find((each) => !known.has(keyOf(config, each)));
      if (control === undefined) return;
      // A control takes the router's part, whichever that is.
      const settings = [{ ...config, router: {}, control }];
      const start = { ...alone, settings, version };
      const started = createRun({ start, config, program: null }, () => {
        if (isOpen(started) || run !== started) return;
        run = null;
        started.stop();
        if (started.end) known.set(keyOf(config, control), started.end.loss);
        changed();
        if (started.end) marks.start();
      });
      run = started;
    },
  };
  return marks;
}
