// Stand-in for jsr:@std/cli, for checkouts that cannot reach JSR: only what this repository imports.
export * from "./parse_args.ts";
