// Damaged ONNX files: tests/onnx_fuzz.ts. Ten times as many: tests/long/onnx_test.ts.
import { testDamaged } from "./onnx_fuzz.ts";

testDamaged(0, 10_000);
