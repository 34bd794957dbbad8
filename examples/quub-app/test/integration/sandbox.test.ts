import { describe, expect, beforeEach, it } from "vitest";
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
  const client = () => new QuubClient(SANDBOX_API, credentials);
  const wanted = { instrument: "BTC-EUR", side: "buy", quantity: "0.001" } as const;

  // Stands in the results as a property, for whoever wants to know what they are about.
  beforeEach(({ annotate }) => annotate(SANDBOX_API, "base_url"));

  it("takes an order, shows it and cancels it", async () => {
    const placed = await client().placeOrder(wanted);

    expect((await client().getOrder(placed.id)).status).toBe("open");
    await client().cancelOrder(placed.id);
    expect((await client().getOrder(placed.id)).status).toBe("cancelled");
  });

  it("refuses an order without a quantity with 422", async () => {
    await expect(client().placeOrder({ ...wanted, quantity: "0" })).rejects.toMatchObject({ status: 422 });
  });

  it("refuses to cancel an order twice with 409", async () => {
    const placed = await client().placeOrder(wanted);
    await client().cancelOrder(placed.id);

    await expect(client().cancelOrder(placed.id)).rejects.toMatchObject({ status: 409 });
  });

  it("answers 404 for an order that does not exist", async () => {
    await expect(client().getOrder("no-such-order")).rejects.toMatchObject({ status: 404 });
  });

  it("refuses a made-up key with 401", async () => {
    const stranger = { ...credentials, current: async () => ({ ...(await credentials.current()), apiKey: "made-up" }) };

    await expect(new QuubClient(SANDBOX_API, stranger).getOrder("any")).rejects.toMatchObject({ status: 401 });
  });

  it("accepts a WebSocket connection", async () => {
    const stream = new OrderStream(SANDBOX_WS, credentials);
    const connected = new Promise((resolve) => stream.once("connected", () => resolve(true)));

    await stream.connect();

    await expect(connected).resolves.toBe(true);
    stream.close();
  });
});
