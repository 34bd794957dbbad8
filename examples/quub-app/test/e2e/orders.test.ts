import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readConfig } from "../../src/config/environments.js";
import { readLocalCredentials } from "../../src/config/secrets.js";
import { QuubClient, type Order } from "../../src/quub/client.js";
import { OrderStream } from "../../src/quub/stream.js";

// Against staging, as it was deployed for this commit; a missing variable fails the tests.
const staging = process.env.STAGING_URL ?? "https://orders.staging.example.com";
const config = readConfig({ ...process.env, NODE_ENV: "staging" });
const credentials = { current: async () => readLocalCredentials(process.env), forget: () => undefined };
const wanted = { instrument: "BTC-EUR", side: "buy", quantity: "0.001" } as const;

describe("orders on staging", () => {
  let stream: OrderStream;
  const quub = new QuubClient(config.quub.apiUrl, credentials);

  beforeEach(async () => {
    expect((await fetch(`${staging}/ready`)).status).toBe(200);
    stream = new OrderStream(config.quub.wsUrl, credentials);
    const connected = once(stream, "connected");
    await stream.connect();
    await connected;
  });

  afterEach(() => stream.close());

  async function seen(id: string, status: Order["status"]): Promise<void> {
    for await (const [event] of eventsOf(stream)) {
      const order = event as Order;
      if (order.id === id && order.status === status) {
        return;
      }
    }
  }

  it("are placed, and seen filled @flow:place-order", async () => {
    const placed = await quub.placeOrder(wanted);

    await seen(placed.id, "filled");
  });

  it("are placed, cancelled, and seen cancelled @flow:cancel-order", async () => {
    const placed = await quub.placeOrder({ ...wanted, side: "sell" });
    await quub.cancelOrder(placed.id);

    await seen(placed.id, "cancelled");
  });

  it("are followed after the WebSocket was lost and has reconnected @flow:follow-orders @scenario:websocket-reconnect", async () => {
    stream["socket"]?.terminate();
    await once(stream, "connected");
    const placed = await quub.placeOrder(wanted);

    await seen(placed.id, "filled");
  });
});

describe("the WebSocket stream of staging", () => {
  it("connects, and is kept by heartbeats @scenario:websocket-connect @scenario:websocket-heartbeat", async () => {
    const stream = new OrderStream(config.quub.wsUrl, credentials, undefined, 1_000);
    let ended = 0;
    stream.on("disconnected", () => (ended += 1));
    await stream.connect();
    await sleep(5_000);

    expect(ended).toBe(0);
    stream.close();
  });

  it("refuses a made-up key @scenario:websocket-auth", async () => {
    const stranger = { ...credentials, current: async () => ({ ...(await credentials.current()), apiKey: "made-up" }) };
    const stream = new OrderStream(config.quub.wsUrl, stranger);
    const disconnected = once(stream, "disconnected");
    await stream.connect();

    await expect(disconnected).resolves.toEqual([1006]);
    stream.close();
  });

  it("subscribes to the orders of its organisation alone @scenario:websocket-subscribe", async () => {
    const stream = new OrderStream(config.quub.wsUrl, credentials);
    const first = once(stream, "order");
    await stream.connect();
    const placed = await new QuubClient(config.quub.apiUrl, credentials).placeOrder(wanted);

    await expect(first).resolves.toMatchObject([{ id: placed.id }]);
    stream.close();
  });
});

async function* eventsOf(stream: OrderStream): AsyncGenerator<[unknown]> {
  for (;;) {
    yield (await once(stream, "order")) as [unknown];
  }
}
