// Every experiment. Written by `deno task index`. Do not edit.
export { capacityFactor } from "./capacity_factor.ts";
export { compare } from "./compare.ts";
export { control } from "./control.ts";
export { locality } from "./locality.ts";
export { localityPrice } from "./locality_price.ts";
export { outputScale } from "./output_scale.ts";
export { topOneOrTwo } from "./top_one_or_two.ts";
export { upcycling } from "./upcycling.ts";
