// Every router of this package. Written by `deno task index`. Do not edit.

export type * from "./router.ts";
export { base, type BaseOptions } from "./base.ts";
export { deepseek, type DeepseekOptions } from "./deepseek.ts";
export { expertChoice, type ExpertChoiceOptions } from "./expert_choice.ts";
export { forcedBalance, type ForcedBalanceOptions } from "./forced_balance.ts";
export { gshard, type GshardOptions } from "./gshard.ts";
export { gumbelMatching, type GumbelMatchingOptions } from "./gumbel_matching.ts";
export { hash, type HashOptions } from "./hash.ts";
export { hierarchical, type HierarchicalOptions } from "./hierarchical.ts";
export { locmoe, type LocmoeOptions } from "./locmoe.ts";
export { locmoePlus, type LocmoePlusOptions } from "./locmoe_plus.ts";
export { type NoisyTopKOptions, noisyTopKRouter } from "./noisy_top_k.ts";
export { sinkhorn, type SinkhornOptions } from "./sinkhorn.ts";
export { skip, type SkipOptions } from "./skip.ts";
export { soft, type SoftOptions } from "./soft.ts";
export { stMoe, type StMoeOptions } from "./st_moe.ts";
export { type SwitchOptions, switchRouter } from "./switch.ts";
export { topAny, type TopAnyOptions } from "./top_any.ts";
