// ONNX, what takes long: a hundred thousand damaged files.
import { testDamaged } from "../onnx_fuzz.ts";

testDamaged(10_000, 100_000);
