// How far a command is: one live bar on a terminal, plain lines a log can keep elsewhere.
import { Presets, SingleBar } from "cli-progress";

/** One step of one run. */
export interface StepProgress {
  /** Run, counted from 1. */
  readonly at: number;
  readonly run: string;
  /** Steps taken, of all the run's. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly tokens: number;
  readonly seconds: number;
}

/** Where progress goes. */
export interface Progress {
  step(progress: StepProgress): void;
  /** Steps that need no work because an earlier command did it. */
  skip(steps: number): void;
  /** Clears the bar and gives the terminal its cursor back. */
  stop(): void;
}

const LINE_SECONDS = 5;
const SPEED_STEPS = 20;

/** Starts showing progress over `totalSteps` of `runs` runs. */
export function createProgress(runs: number, totalSteps: number, terminal: boolean): Progress {
  const recent: { tokens: number; seconds: number }[] = [];
  let done = 0;
  let worked = 0;
  let workedSeconds = 0;
  let lastLine = 0;
  const bar = terminal
    ? new SingleBar({
      format:
        "{bar} {percentage}%  run {at}/{runs} {run}  step {step}/{steps}  loss {loss}  {speed} tokens/s  {left} left",
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
    }, Presets.shades_classic)
    : null;
  const blank = { at: 0, runs, run: "", step: 0, steps: 0, loss: "-", speed: "-", left: "-" };
  bar?.start(totalSteps, 0, blank);
  return {
    step({ at, run, step, steps, loss, tokens, seconds }) {
      done++;
      worked++;
      workedSeconds += seconds;
      recent.push({ tokens, seconds });
      if (recent.length > SPEED_STEPS) recent.shift();
      const speed = sum(recent.map((step) => step.tokens)) / sum(recent.map((step) => step.seconds));
      const left = duration((totalSteps - done) * workedSeconds / worked);
      const shown = { at, runs, run, step, steps, loss: loss.toFixed(3), speed: speed.toFixed(0), left };
      bar?.update(done, shown);
      const now = performance.now() / 1000;
      if (!bar && (step === 1 || step === steps || now - lastLine > LINE_SECONDS)) {
        lastLine = now;
        console.log(
          `run ${at}/${runs} ${run}  step ${step}/${steps}  loss ${shown.loss}  ${shown.speed} tokens/s  ${left} left`,
        );
      }
    },
    skip(steps) {
      done += steps;
      bar?.update(done);
    },
    stop: () => bar?.stop(),
  };
}

/** Gives a terminal back the cursor that a bar hides. */
export function showCursor(): void {
  if (Deno.stdout.isTerminal()) Deno.stdout.writeSync(new TextEncoder().encode("\x1b[?25h"));
}

/** Seconds as `1h02m`, `3m05s` or `12s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours > 0) return `${hours}h${String(minutes).padStart(2, "0")}m`;
  return minutes > 0 ? `${minutes}m${String(rest).padStart(2, "0")}s` : `${rest}s`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
