// Every experiment. Written by `deno task index`. Do not edit.
export { capacityFactor } from "./capacity_factor.ts";
export { compare } from "./compare.ts";
export { locality } from "./locality.ts";
