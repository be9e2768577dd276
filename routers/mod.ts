// Every router of this package. Written by `deno task index`. Do not edit.

export type * from "./router.ts";
export { gshard, type GshardOptions } from "./gshard.ts";
export { hash, type HashOptions } from "./hash.ts";
export { locmoe, type LocmoeOptions } from "./locmoe.ts";
export { locmoePlus, type LocmoePlusOptions } from "./locmoe_plus.ts";
export { type SwitchOptions, switchRouter } from "./switch.ts";
