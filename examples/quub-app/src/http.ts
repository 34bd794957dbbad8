import { createServer, type Server } from "node:http";
import { register } from "./metrics.js";

export interface Readiness {
  /** Whether what the service depends on can be reached. */
  isReady(): Promise<boolean>;
}

/** `/health` says that the process lives, `/ready` that it may be given traffic, `/metrics` feeds Prometheus. */
export function createHttpServer(readiness: Readiness): Server {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = "application/json") =>
      response
        .writeHead(status, {
          "Content-Type": type,
          "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
          "X-Content-Type-Options": "nosniff",
        })
        .end(body);
    switch (`${request.method} ${new URL(request.url ?? "/", "http://localhost").pathname}`) {
      case "GET /health":
        return answer(200, JSON.stringify({ status: "up" }));
      case "GET /ready":
        return readiness.isReady().then(
          (isReady) => answer(isReady ? 200 : 503, JSON.stringify({ ready: isReady })),
          () => answer(503, JSON.stringify({ ready: false })),
        );
      case "GET /metrics":
        return register.metrics().then(
          (text) => answer(200, text, register.contentType),
          () => answer(500, JSON.stringify({ error: "metrics" })),
        );
      default:
        return answer(404, JSON.stringify({ error: "not found" }));
    }
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  return server;
}
