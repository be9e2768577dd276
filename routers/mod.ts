// Every router of this package. Written by `deno task index`. Do not edit.

export type * from "./router.ts";
export { base, type BaseOptions } from "./base.ts";
export { gshard, type GshardOptions } from "./gshard.ts";
export { gumbelMatching, type GumbelMatchingOptions } from "./gumbel_matching.ts";
export { hash, type HashOptions } from "./hash.ts";
export { locmoe, type LocmoeOptions } from "./locmoe.ts";
export { locmoePlus, type LocmoePlusOptions } from "./locmoe_plus.ts";
export { sinkhorn, type SinkhornOptions } from "./sinkhorn.ts";
export { skip, type SkipOptions } from "./skip.ts";
export { type SwitchOptions, switchRouter } from "./switch.ts";
