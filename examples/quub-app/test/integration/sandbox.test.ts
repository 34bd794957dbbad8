import { describe, expect, it } from "vitest";
import { readLocalCredentials, type CredentialSource } from "../../src/config/secrets.js";
import { QuubClient } from "../../src/quub/client.js";
import { OrderStream } from "../../src/quub/stream.js";

const SANDBOX_API = "https://api-sandbox.quub.fi";
const SANDBOX_WS = "wss://ws-sandbox.quub.fi";

describe.skipIf(process.env.QUUB_API_KEY === undefined)("the Quub sandbox", () => {
  const credentials: CredentialSource = {
    current: async () => readLocalCredentials(process.env),
    forget: () => undefined,
  };

  it("takes an order, shows it and cancels it", async () => {
    const client = new QuubClient(SANDBOX_API, credentials);
    const placed = await client.placeOrder({ instrument: "BTC-EUR", side: "buy", quantity: "0.001" });

    expect((await client.getOrder(placed.id)).status).toBe("open");
    await client.cancelOrder(placed.id);
    expect((await client.getOrder(placed.id)).status).toBe("cancelled");
  });

  it("answers 404 for an order that does not exist", async () => {
    await expect(new QuubClient(SANDBOX_API, credentials).getOrder("no-such-order")).rejects.toMatchObject({
      status: 404,
    });
  });

  it("accepts a WebSocket connection", async () => {
    const stream = new OrderStream(SANDBOX_WS, credentials);
    const connected = new Promise((resolve) => stream.once("connected", () => resolve(true)));

    await stream.connect();

    await expect(connected).resolves.toBe(true);
    stream.close();
  });
});
