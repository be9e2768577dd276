// Kinds of experts with options that change what they do, against the contract on WebGPU; defaults, and the CPU, are in
// tests/experts_contract_test.ts.
import { experts } from "../../experts/registry.ts";
import { expertContract } from "../expert_contract.ts";
import { expertVariants } from "../expert_variants.ts";

for (const plugin of experts()) {
  expertContract(plugin, expertVariants[plugin.name]?.slice(1) ?? [], ["webgpu"]);
}
