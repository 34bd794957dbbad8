import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { createHttpServer, type Readiness } from "../../src/http.js";

describe("the HTTP server", () => {
  let close: () => void = () => undefined;

  afterEach(() => close());

  async function ask(path: string, readiness: Readiness) {
    const server = createHttpServer(readiness).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    close = () => server.close();
    return fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
  }

  it("is healthy even while it is not ready", async () => {
    expect((await ask("/health", { isReady: async () => false })).status).toBe(200);
  });

  it("is not ready while the cache is down", async () => {
    expect((await ask("/ready", { isReady: async () => false })).status).toBe(503);
  });

  it("is not ready when readiness itself fails", async () => {
    expect((await ask("/ready", { isReady: () => Promise.reject(new Error("down")) })).status).toBe(503);
  });

  it("exposes metrics", async () => {
    expect(await (await ask("/metrics", { isReady: async () => true })).text()).toContain("quub_api_calls_total");
  });

  it("knows no other path", async () => {
    expect((await ask("/definitely-not-here", { isReady: async () => true })).status).toBe(404);
  });
});
