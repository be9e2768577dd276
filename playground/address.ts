// State as the part of an address behind #, and back: everything that differs from how a page opens, nothing else.
import { findRouter } from "../routers/registry.ts";
import type { Settings } from "../training/config.ts";
import type { OwnRouter } from "./own/own_router.ts";
import { initialState, isOwn, type PageState, type RouterChoice, routersOf, runConfigOf } from "./state.ts";

/** Names that stand alone; the others are paths of settings. */
const names: readonly string[] = [...["task", "size", "router", "beside"], "device", "sentence", "own"];

/** A state as text: `task=recall&router=gshard&router.k=1&train.steps=60`. */
export function addressOf(state: PageState): string {
  const { task, size, settings, router, beside, device, sentence, own } = state;
  const words = new URLSearchParams();
  const put = (name: string, value: unknown, usual: unknown = undefined) => {
    if (value !== usual) words.set(name, typeof value === "string" ? textOf(value) : JSON.stringify(value));
  };
  const putRouter = (place: string, choice: RouterChoice, usual?: string) => {
    put(place, choice.name, usual);
    for (const [option, value] of Object.entries(choice.options)) put(`${place}.${option}`, value);
  };
  put("task", task, initialState.task);
  put("size", size, initialState.size);
  putRouter("router", router, initialState.router.name);
  if (beside) putRouter("beside", beside);
  for (const [path, value] of Object.entries(settings)) put(path, value);
  put("device", device, initialState.device);
  if (sentence !== null) words.set("sentence", sentence);
  if (own !== null) words.set("own", own.source);
  return words.toString();
}

/** The text of a router of the user's that an address brings; null for none. */
export function ownSourceOf(address: string): string | null {
  return new URLSearchParams(address).get("own");
}

/**
 * The state of an address.
 * @param own The router that it brings, read.
 * @throws {RangeError} naming what cannot be used.
 */
export function stateOf(address: string, own: OwnRouter | null = null): PageState {
  const words = new URLSearchParams(address);
  const settings: Record<string, unknown> = {};
  const options: Record<"router" | "beside", Record<string, unknown>> = { router: {}, beside: {} };
  const named: Record<string, string> = {};
  for (const [name, text] of words) {
    const [head, ...rest] = name.split(".");
    if (rest.length > 0 && (head === "router" || head === "beside")) {
      options[head][rest.join(".")] = valueOf(text);
    } else if (rest.length > 0 || name === "seed") settings[name] = valueOf(text);
    else if (names.includes(name)) named[name] = text;
    else {throw new RangeError(
        `Cannot use "${name}" of this address: there are ${names.join(", ")}`,
      );}
  }
  const state: PageState = {
    ...initialState,
    ...pick(named, "task"),
    ...pick(named, "size"),
    settings,
    router: { name: named.router ?? initialState.router.name, options: options.router },
    beside: named.beside === undefined ? null : { name: named.beside, options: options.beside },
    device: deviceOf(named.device),
    sentence: named.sentence ?? null,
    own,
  };
  for (const choice of routersOf(state)) {
    if (!isOwn(state, choice)) findRouter(choice.name);
    runConfigOf(state, choice);
  }
  return state;
}

function pick(named: Readonly<Record<string, string>>, name: "task" | "size"): Partial<PageState> {
  return named[name] === undefined ? {} : { [name]: named[name] };
}

function deviceOf(name = "cpu"): PageState["device"] {
  if (name === "cpu" || name === "webgpu") return name;
  throw new RangeError(`Cannot use device "${name}": there are "cpu", "webgpu"`);
}

/** JSON, or text; as on the command line. */
export function valueOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A text that would be read as something else is quoted. */
function textOf(value: string): string {
  return valueOf(value) === value ? value : JSON.stringify(value);
}

/** Settings with one value set, or taken back where it is undefined. */
export function withValue(settings: Settings, name: string, value: unknown): Settings {
  const { [name]: _, ...rest } = settings;
  return value === undefined ? rest : { ...rest, [name]: value };
}
