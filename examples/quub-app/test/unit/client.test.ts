import nock from "nock";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CredentialSource } from "../../src/config/secrets.js";
import { quubBreaker } from "../../src/quub/breaker.js";
import { QuubClient, QuubError, sign } from "../../src/quub/client.js";

const API = "https://api.quub.test";

class CountingCredentials implements CredentialSource {
  forgotten = 0;

  async current() {
    const generation = this.forgotten === 0 ? "old" : "new";
    return { apiKey: `key-of-unit-tests-${generation}`, apiSecret: "not-a-real-value", orgId: "org-1" };
  }

  forget() {
    this.forgotten += 1;
  }
}

describe("QuubClient", () => {
  const pauses: number[] = [];
  let credentials: CountingCredentials;
  let client: QuubClient;

  beforeEach(() => {
    nock.disableNetConnect();
    pauses.length = 0;
    credentials = new CountingCredentials();
    client = new QuubClient(API, credentials, new https.Agent({ keepAlive: false }), async (ms) => pauses.push(ms));
  });

  afterEach(() => {
    nock.abortPendingRequests();
    nock.cleanAll();
    nock.enableNetConnect();
  });

  const order = { id: "o-1", instrument: "BTC-EUR", side: "buy", quantity: "0.5", status: "open" };

  it("reads an order with signed headers", async () => {
    nock(API, { reqheaders: { "x-api-key": "key-of-unit-tests-old", "x-signature": /^[0-9a-f]{64}$/ } })
      .get("/v1/orders/o-1")
      .reply(200, order);

    await expect(client.getOrder("o-1")).resolves.toEqual(order);
  });

  it("retries a read after 503 and then succeeds", async () => {
    nock(API).get("/v1/orders/o-1").times(2).reply(503).get("/v1/orders/o-1").reply(200, order);

    await expect(client.getOrder("o-1")).resolves.toEqual(order);
    expect(pauses).toHaveLength(2);
  });

  it("waits as long as Retry-After of a 429 says", async () => {
    nock(API).get("/v1/orders/o-1").reply(429, "", { "Retry-After": "2" }).get("/v1/orders/o-1").reply(200, order);

    await client.getOrder("o-1");

    expect(pauses).toEqual([2000]);
  });

  it("gives up after three attempts", async () => {
    nock(API).get("/v1/orders/o-1").times(3).reply(502);

    await expect(client.getOrder("o-1")).rejects.toEqual(new QuubError("GET", "/v1/orders/:id", 502));
    expect(nock.isDone()).toBe(true);
  });

  it("repeats a new order only with the same idempotency key @abuse-case", async () => {
    const keys: string[] = [];
    const remember = function (this: { req: { headers: Record<string, string> } }) {
      keys.push(String(this.req.headers["idempotency-key"]));
    };
    nock(API)
      .post("/v1/orders")
      .reply(function () {
        remember.call(this as never);
        return [503];
      })
      .post("/v1/orders")
      .reply(function () {
        remember.call(this as never);
        return [201, order];
      });

    await client.placeOrder({ instrument: "BTC-EUR", side: "buy", quantity: "0.5" });

    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
  });

  it.each([400, 403, 404, 409, 422])("sends a request that was answered with %i once", async (status) => {
    nock(API).get("/v1/orders/o-1").reply(status);

    await expect(client.getOrder("o-1")).rejects.toMatchObject({ status });
    expect(pauses).toEqual([]);
  });

  it("asks for new credentials once after 401", async () => {
    nock(API).get("/v1/orders/o-1").reply(401);
    nock(API, { reqheaders: { "x-api-key": "key-of-unit-tests-new" } }).get("/v1/orders/o-1").reply(200, order);

    await expect(client.getOrder("o-1")).resolves.toEqual(order);
    expect(credentials.forgotten).toBe(1);
  });

  it("gives up when new credentials are refused with 401 as well", async () => {
    nock(API).get("/v1/orders/o-1").times(2).reply(401);

    await expect(client.getOrder("o-1")).rejects.toMatchObject({ status: 401 });
  });

  it("cancels an order after a connection reset", async () => {
    nock(API).delete("/v1/orders/o-1").replyWithError(networkError("ECONNRESET")).delete("/v1/orders/o-1").reply(204);

    await expect(client.cancelOrder("o-1")).resolves.toBeUndefined();
  });

  it("repeats a read that times out", async () => {
    nock(API).get("/v1/orders/o-1").replyWithError(networkError("ETIMEDOUT")).get("/v1/orders/o-1").reply(200, order);

    await expect(client.getOrder("o-1")).resolves.toEqual(order);
  });

  it.each(["{", "", "null"])("refuses an order in a malformed answer: %j", async (body) => {
    nock(API).get("/v1/orders/o-1").reply(200, body, { "Content-Type": "application/json" });

    await expect(client.getOrder("o-1")).rejects.toMatchObject({ status: 200 });
  });

  it("uses the pool of pinned connections unless it is told otherwise", async () => {
    nock(API).get("/v1/orders/o-1").replyWithError(new Error("without a code")).get("/v1/orders/o-1").reply(200, order);

    await expect(new QuubClient(API, credentials).getOrder("o-1")).resolves.toEqual(order);
  });

  it("throws on what is no answer of the network", async () => {
    credentials.current = () => Promise.reject(new Error("no credentials"));

    await expect(client.getOrder("o-1")).rejects.toThrow("no credentials");
  });

  it("lets nothing out while the circuit is open, and closes it after one good answer", async () => {
    const guarded = new QuubClient(API, credentials, new https.Agent(), async () => 0, undefined, quubBreaker(20));
    nock(API).get("/v1/orders/o-1").times(5).reply(503);
    await expect(guarded.getOrder("o-1")).rejects.toMatchObject({ status: 503 });
    await expect(guarded.getOrder("o-1")).rejects.toMatchObject({ status: undefined });
    expect(nock.isDone()).toBe(true);
    await expect(guarded.getOrder("o-1")).rejects.toMatchObject({ status: undefined });

    nock(API).get("/v1/orders/o-1").reply(200, order);

    await sleep(40);
    await expect(guarded.getOrder("o-1")).resolves.toEqual(order);
  });
});

function networkError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("sign", () => {
  const signer = { apiKey: "key-of-unit-tests", apiSecret: "not-a-real-value", orgId: "org-1" };

  it("depends on the body", () => {
    const one = sign(signer, "POST", "/v1/orders", '{"a":1}', 0);
    const other = sign(signer, "POST", "/v1/orders", '{"a":2}', 0);

    expect(one["X-Signature"]).not.toBe(other["X-Signature"]);
  });
});
