// The page and the worker as one program, for a page that is one file: it is in the page as text, from which workers start.

if ("document" in globalThis) void import("./main.ts");
else void import("./worker.ts");
