// Training in half precision for routers that dispatch more than switch does: tests/half_precision_run.ts.
import { testFollowsFull } from "../half_precision_run.ts";

for (const router of ["gshard", "expert-choice"]) testFollowsFull(router);
