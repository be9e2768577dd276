// Before any schema is made: zod compiles its checks where it may, and tries whether it may by evaluating a text, which the
// page's policy forbids and browsers report. Every script that draws zod in imports this first, so that a bundler keeps
// the two in one file and in order.
import * as z from "zod";

z.config({ jitless: true });
