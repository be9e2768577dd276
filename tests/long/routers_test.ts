// Routers with options that change what they do, against the contract on WebGPU; defaults, and the CPU, are in
// tests/routers_test.ts.
import { routers } from "../../routers/registry.ts";
import { routerContract } from "../router_contract.ts";
import { routerVariants } from "../router_variants.ts";

for (const plugin of routers()) {
  routerContract(plugin, routerVariants[plugin.name]?.slice(1) ?? [], ["webgpu"]);
}
