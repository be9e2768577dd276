// What views draw: runs of now and before, with how each is told apart from the others.
import type { Run } from "../run/run.ts";
import type { Session } from "../session.ts";

/** A run with its looks. */
export interface ShownRun {
  readonly run: Run;
  readonly label: string;
  /** Which of the theme's hues. */
  readonly hue: number;
  readonly dashed: boolean;
  /** Of the runs before. */
  readonly faint: boolean;
}

/** Runs of a session: the last ones first, so that those of now are drawn over them. */
export function shownRuns({ runs, last }: Pick<Session, "runs" | "last">): ShownRun[] {
  const show = (all: readonly Run[], faint: boolean) =>
    all.map((run, at): ShownRun => ({
      run,
      label: `${run.start.names.label}${faint ? " before" : ""}`,
      hue: at,
      dashed: at === 1,
      faint,
    }));
  return [...show(last, true), ...show(runs, false)];
}

/** Which mixture of a run is shown: the one at a place in its list, or the last. */
export function layerAt<Layer>(layers: readonly Layer[], place: number | null): Layer | undefined {
  return layers[place ?? layers.length - 1] ?? layers.at(-1);
}
