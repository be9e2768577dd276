// What a router declares, held against what it does, step by step: a comparison at equal cost rests on it. A router that
// breaks its word is stopped at the first step where that shows, by name.
import type { Mixture, Routing } from "../routers/router.ts";
import type { MoeSpec } from "../models/spec.ts";
import { choicesOf } from "../models/spec.ts";
import { traitsOf } from "../routers/registry.ts";

/** One layer's routing in one training step, read back. */
export interface ReadRouting {
  /** Place of the layer in the model, counted from 0. */
  readonly layer: number;
  readonly spec: MoeSpec;
  readonly routing: Routing;
  /** Tokens of the batch. */
  readonly T: number;
  readonly token_N: Int32Array;
  readonly wanted_N: Int32Array;
  readonly expert_N: Int32Array;
}

/**
 * Checks one layer's routing against its router's traits.
 * @throws {RangeError} naming the router, what it declares, and what it did.
 */
export function checkContract(read: ReadRouting): void {
  checkAssignments(read);
  // A mixture's assignments are for reports: its experts see slots.
  if (read.routing.mixture) return checkSlots(read, read.routing.mixture);
  checkPerToken(read);
  checkBalance(read);
}

function refuse({ spec: { router }, layer }: ReadRouting, found: string): never {
  throw new RangeError(`Cannot go on with router "${router.name}": in layer ${layer} ${found}`);
}

/**
 * Checks that assignments name tokens and experts that are there, in the order that `choices` says.
 * @throws {RangeError} naming the router, the field, and what was found.
 */
export function checkAssignments(read: ReadRouting): void {
  checkRanges(read);
  checkLayout(read);
}

function checkRanges(read: ReadRouting): void {
  const { token_N, wanted_N, expert_N, T, spec: { E } } = read;
  const refuseExpert = (what: string, value: number, n: number) =>
    refuse(read, `${what} is ${value} for assignment ${n}; experts are 0 to ${E - 1}, or -1 for none`);
  for (let n = 0; n < expert_N.length; n++) {
    if (expert_N[n] < -1 || expert_N[n] >= E) refuseExpert("expert_N", expert_N[n], n);
    if (wanted_N[n] < -1 || wanted_N[n] >= E) refuseExpert("wanted_N", wanted_N[n], n);
    if (token_N[n] < 0 || token_N[n] >= T) {
      refuse(read, `token_N is ${token_N[n]} for assignment ${n}; tokens are 0 to ${T - 1}`);
    }
  }
}

/** With K choices a token, assignments stand token by token. */
function checkLayout(read: ReadRouting): void {
  const { choices } = read.routing;
  if (choices === null) return;
  const { token_N } = read;
  let n = 0;
  while (n < token_N.length && token_N[n] === Math.floor(n / choices)) n++;
  if (n === token_N.length) return;
  refuse(
    read,
    `token_N is ${
      read.token_N[n]
    } for assignment ${n}, and choices = ${choices} means that token t has assignments ` +
      `${choices} t to ${choices} t + ${choices - 1}; order them so, or return choices: null`,
  );
}

function checkPerToken(read: ReadRouting): void {
  const { token_N, expert_N, wanted_N, T, spec } = read;
  const { perToken } = traitsOf(spec.router, spec.routerOptions);
  if (perToken === "varies") return;
  const K = choicesOf(spec);
  const counts = new Int32Array(T);
  for (let n = 0; n < token_N.length; n++) {
    if (wanted_N[n] >= 0 || expert_N[n] >= 0) counts[token_N[n]]++;
  }
  const exactly = perToken === "exactly K";
  let token = 0;
  while (token < T && counts[token] <= K && !(exactly && counts[token] !== K && counts[token] !== 0)) token++;
  if (token === T) return;
  refuse(
    read,
    `token ${token} goes to ${
      counts[token]
    } experts, and it declares ${perToken} with K = ${K}; correct expertsPerToken, ` +
      'or declare perToken "varies"',
  );
}

/** Slots are made for the longest sequence; a shorter one has as many. */
function checkSlots(read: ReadRouting, { parts }: Mixture): void {
  const K = choicesOf(read.spec);
  const longest = Math.max(...parts.map(({ dispatch_BML }) => dispatch_BML.shape[2]));
  for (const { dispatch_BML: { shape: [, M] } } of parts) {
    if (M <= K * longest) continue;
    refuse(
      read,
      `its experts see ${M} slots for ${longest} tokens, and it declares K = ${K} a token; correct expertsPerToken`,
    );
  }
}

function checkBalance(read: ReadRouting): void {
  const { expert_N, spec: { router, routerOptions, E } } = read;
  if (traitsOf(router, routerOptions).balancedBy !== "construction") return;
  const loads = new Int32Array(E);
  for (const expert of expert_N) if (expert >= 0) loads[expert]++;
  const [least, most] = [Math.min(...loads), Math.max(...loads)];
  // What E does not divide leaves one more to some, or one fewer where each scope is cut by itself.
  if (most - least <= Math.max(1, Math.ceil(expert_N.length / E * SLACK))) return;
  refuse(
    read,
    `experts take from ${least} to ${most} assignments, and it declares balance by construction; correct balancedBy`,
  );
}

/** Share of an even load by which scopes that are cut one by one may differ. */
const SLACK = 0.1;
