// What a training step of the largest size takes of memory: tests/step_memory.ts.
import { longSizes, testStep } from "../step_memory.ts";

for (const size of longSizes) testStep(size);
