// What a training step takes of memory: tests/step_memory.ts. The largest size: tests/long/memory_test.ts.
import { shortSizes, testStep } from "./step_memory.ts";

for (const size of shortSizes) testStep(size);
