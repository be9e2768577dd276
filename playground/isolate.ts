// A service worker for hosts that send no headers of their own choosing: it adds the two without which a browser shares no
// memory between threads.

interface Fetched {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** All that is used of a service worker's global scope. */
interface ServiceWorkerScope {
  skipWaiting(): Promise<void>;
  readonly clients: { claim(): Promise<void> };
  oninstall: (() => void) | null;
  onactivate: ((event: { waitUntil(work: Promise<void>): void }) => void) | null;
  onfetch: ((event: Fetched) => void) | null;
}

async function isolated(request: Request): Promise<Response> {
  const answer = await fetch(request);
  // A redirect, which the browser follows itself.
  if (answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

function serve(scope: ServiceWorkerScope): void {
  scope.oninstall = () => void scope.skipWaiting();
  scope.onactivate = (event) => event.waitUntil(scope.clients.claim());
  scope.onfetch = (event) => event.respondWith(isolated(event.request));
}

serve(globalThis as unknown as ServiceWorkerScope);
