// The page: state in the address, the form, the buttons, and views that are drawn anew when runs have something new.
/// <reference lib="dom" />
import "./jitless.ts";
import { addressOf, ownSourceOf, stateOf } from "./address.ts";
import { createButtons } from "./buttons.ts";
import { createChoices } from "./choices/choices.ts";
import { byId, setText } from "./dom.ts";
import { isolatePage } from "./isolation.ts";
import type { OwnRouter } from "./own/own_router.ts";
import { createPane } from "./own/pane.ts";
import type { Run } from "./run/run.ts";
import { createSession } from "./session.ts";
import { initialState, isOwn, type PageState, restarts, routersOf, runConfigOf, withOwn } from "./state.ts";
import { findPageTask } from "./tasks.ts";
import { createSentenceField } from "./views/scene/scenes.ts";
import { createTour } from "./tour/tour.ts";
import { createViews } from "./views/views.ts";

const SHOW_MILLISECONDS = 80;

/** What `work` refuses, as a sentence under the buttons; null where it refuses nothing. */
function told(work: () => void): string | null {
  const problem = byId("problem");
  try {
    work();
    setText(problem, "");
    return null;
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    setText(problem, sentence);
    return sentence;
  }
}

/** On a narrow page the form lies above what comes of it. */
function showResults(): void {
  const results = byId("results");
  if (results.getBoundingClientRect().top > innerHeight / 2) results.scrollIntoView();
}

function openPage(): void {
  let state = initialState;
  /** An address with a router's program that the user has not asked to run yet. */
  let pending: string | null = null;
  let asked = false;
  /** The run that the pane has told of: what it said goes with the next change of the text. */
  let toldOf: Run | undefined;

  function show(): void {
    asked = false;
    views.show();
    buttons.show();
    sentence.show(state.sentence, findPageTask(state.task).scene === "sentence");
    const failed = session.runs.find(({ program, problem }) => program !== null && problem !== null);
    if (failed && failed !== toldOf) pane.tell(failed.problem);
    toldOf = failed;
  }

  /** Many changes are shown once, so that drawing takes little from training. */
  function changed(): void {
    if (asked) return;
    asked = true;
    setTimeout(show, SHOW_MILLISECONDS);
  }

  /** Takes a state; runs that it changes start anew, unless they are to be started anyway. */
  function take(next: PageState, startsAnew: boolean): void {
    for (const choice of routersOf(next)) runConfigOf(next, choice);
    const again = startsAnew && session.runs.length > 0 && restarts(state, next);
    state = next;
    pending = null;
    history.replaceState(null, "", `#${addressOf(state)}`);
    showState();
    if (again) session.train(state);
  }

  const set = (next: PageState) => told(() => take(next, true));

  function showState(): void {
    byId("choices").inert = pending !== null;
    byId("own-notice").hidden = pending === null;
    choices.show();
    changed();
  }

  function readAddress(): void {
    const address = location.hash.slice(1);
    const source = ownSourceOf(address);
    pending = source === null || source === state.own?.source ? null : address;
    if (pending !== null) pane.offer(source!);
    else told(() => state = stateOf(address, source === null ? null : state.own));
    tour.show(address);
    showState();
  }

  /** Takes a router of the user's: into the address that brought it, or beside what is chosen. */
  function use(own: OwnRouter, startsAnew: boolean): boolean {
    const next = () => pending === null ? withOwn(state, own) : stateOf(pending, own);
    return told(() => take(next(), startsAnew)) === null;
  }

  /** Reads the pane's program where it has not been, or has changed since; false where it cannot be used. */
  async function settle(): Promise<boolean> {
    const isChosen = routersOf(state).some((choice) => isOwn(state, choice));
    if (pending === null && !(isChosen && await pane.text() !== state.own?.source)) return true;
    const own = await pane.read();
    return own !== null && use(own, false);
  }

  const session = createSession(document.documentElement.dataset.version ?? "", changed);
  const views = createViews(session, changed);
  const choices = createChoices(byId("choices"), { state: () => state, set });
  const skeleton = byId("skeleton").textContent;
  const tour = createTour(skeleton);
  const pane = createPane({
    skeleton,
    use: (own) => void use(own, true),
  });
  const sentence = createSentenceField((text) => {
    set({ ...state, sentence: text });
    session.watch(text);
  });
  byId("sentence-field").replaceChildren(sentence.root);
  const train = async () => {
    if (!await settle()) return;
    told(() => session.train(state));
    pane.tell(null);
    show();
    showResults();
  };
  const buttons = createButtons(session, { train: () => void train(), show });
  addEventListener("hashchange", readAddress);
  readAddress();
  void isolatePage(() => session.runs.length === 0);
}

openPage();
