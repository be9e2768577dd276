// What the page has trained: the runs of now, one or two at once, and those before them for comparison.
/// <reference lib="dom" />
import { isOpen } from "./run/progress.ts";
import { createRun, type Run } from "./run/run.ts";
import { assetUrl, CORPUS_FILE } from "./assets.ts";
import { createMarks, type Marks } from "./marks.ts";
import { namesOf, type PageState, programOf, routersOf, runConfigOf, settingsOf } from "./state.ts";
import { findPageTask } from "./tasks.ts";

/** A page left alone for so long pauses its runs. */
const HIDDEN_MILLISECONDS = 60_000;
/** Models of this size gain nothing from more. */
const MOST_THREADS = 8;
/** With fewer cores, marks wait for the runs to end. */
const CORES_FOR_MARKS = 4;

/** Runs of a page. */
export interface Session {
  readonly runs: readonly Run[];
  /** Those before, where their task was the same. */
  readonly last: readonly Run[];
  readonly marks: Marks;
  /**
   * Starts the runs of a state; those of now become the last.
   * @throws {RangeError} for what cannot be used.
   */
  train(state: PageState): void;
  /** All runs that can. */
  go(steps?: number): void;
  pause(): void;
  stop(): void;
  /** Another sentence to watch. */
  watch(sentence: string | null): void;
}

/** A session without runs. @param version Version of the package, for records. */
export function createSession(version: string, changed: () => void): Session {
  let runs: readonly Run[] = [];
  let last: readonly Run[] = [];
  const marks = createMarks(version, changed);
  const runChanged = () => {
    if (runs.length > 0 && !runs.some(isOpen)) marks.start();
    changed();
  };
  const session: Session = {
    get runs() {
      return runs;
    },
    get last() {
      return last;
    },
    marks,
    train(state) {
      const names = namesOf(state);
      const choices = routersOf(state);
      const configs = choices.map((choice) => runConfigOf(state, choice));
      const { sentence } = state;
      const { scene, bestKnown } = findPageTask(state.task);
      for (const run of runs) run.stop();
      last = runs.filter(({ steps, config }) =>
        steps.length > 1 && config.task.name === configs[0].task.name
      );
      const corpus = scene === "sentence" ? assetUrl(CORPUS_FILE) : "";
      const shared = {
        version,
        corpus,
        device: state.device,
        threads: threadsFor(configs.length),
        scene,
        sentence,
      };
      runs = choices.map((choice, at) => {
        const start = { settings: settingsOf(state, choice), names: names[at], ...shared };
        return createRun({ start, config: configs[at], program: programOf(state, choice) }, runChanged);
      });
      marks.want(bestKnown ? configs[0] : null);
      if (navigator.hardwareConcurrency >= CORES_FOR_MARKS) marks.start();
      changed();
    },
    go(steps) {
      for (const run of runs) run.go(steps);
    },
    pause() {
      for (const run of runs) if (run.stage !== "paused") run.pause();
    },
    watch(sentence) {
      for (const run of runs) run.watch(sentence);
    },
    stop() {
      for (const run of runs) if (isOpen(run)) run.stop();
    },
  };
  pauseWhenHidden(() => session.pause());
  return session;
}

/** Threads of each of several runs, with a core left to the page. */
function threadsFor(runs: number): number {
  return Math.max(1, Math.min(MOST_THREADS, Math.floor((navigator.hardwareConcurrency - 1) / runs)));
}

function pauseWhenHidden(pause: () => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(pause, HIDDEN_MILLISECONDS);
  });
}
