import { EventEmitter } from "node:events";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { Cache } from "../../src/cache.js";
import { followOrders } from "../../src/orders.js";

class FakeRedis {
  readonly held = new Map<string, string>();
  readonly ttls: number[] = [];
  isDown = false;

  private async answer<T>(value: () => T): Promise<T> {
    if (this.isDown) {
      throw new Error("connection is closed");
    }
    return value();
  }

  get = (key: string) => this.answer(() => this.held.get(key) ?? null);
  set = (key: string, value: string, _ex: "EX", ttl: number) =>
    this.answer(() => (this.ttls.push(ttl), this.held.set(key, value), "OK"));
  del = (key: string) => this.answer(() => Number(this.held.delete(key)));
  ping = () => this.answer(() => "PONG");
}

const order = { id: "o-1", instrument: "BTC-EUR", side: "buy", quantity: "0.5", status: "open" } as const;
let redis: FakeRedis;
let cache: Cache;

beforeEach(() => {
  redis = new FakeRedis();
  cache = new Cache(redis as never, 30);
});

describe("Cache", () => {
  it("loads a value once, and lets it end", async () => {
    const load = vi.fn(async () => 1);

    expect([await cache.through("a", load), await cache.through("a", load)]).toEqual([1, 1]);
    expect([load.mock.calls.length, redis.ttls]).toEqual([1, [30]]);
  });

  it("is a miss while it is down @scenario:partial-outage", async () => {
    redis.isDown = true;

    await expect(cache.through("a", async () => 2)).resolves.toBe(2);
    await cache.invalidate("a");
    await expect(cache.isUp()).resolves.toBe(false);
  });

  it("is up when it answers", async () => {
    await expect(cache.isUp()).resolves.toBe(true);
  });
});

describe("followOrders", () => {
  const stream = () => new EventEmitter<{ order: [unknown] }>();

  it("holds one value of an order whose event comes twice @scenario:duplicate-webhook", async () => {
    const events = stream();
    followOrders(events, cache, { getOrder: async () => order }, () => expect.unreachable());

    events.emit("order", { id: "o-1" });
    events.emit("order", { id: "o-1" });

    await vi.waitFor(() => expect(redis.held.get("order:o-1")).toBe(JSON.stringify(order)));
    expect(redis.held.size).toBe(1);
  });

  it("tells of an order that cannot be read, and leaves out what is no order", async () => {
    const events = stream();
    const told = vi.fn();
    followOrders(events, cache, { getOrder: () => Promise.reject(new Error("503")) }, told);

    events.emit("order", { id: 7 });
    events.emit("order", { id: "o-1" });

    await vi.waitFor(() => expect(told).toHaveBeenCalledTimes(1));
  });
});
