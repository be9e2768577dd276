// Damaged safetensors files: tests/safetensors_fuzz.ts. Ten times as many: tests/long/safetensors_test.ts.
import { testDamaged } from "./safetensors_fuzz.ts";

testDamaged(0, 10_000);
