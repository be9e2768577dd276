// Training in half precision beside training in full precision: tests/half_precision_run.ts.
import { testFollowsFull } from "../half_precision_run.ts";

for (const router of ["switch", "gshard", "expert-choice"]) testFollowsFull(router);
