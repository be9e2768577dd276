// A run's files, what takes long: every cut, and ten thousand flipped bits of each.
import { testDamagedRuns } from "../damaged_runs.ts";

testDamagedRuns({ flips: 10_000, cutEvery: 1 });
