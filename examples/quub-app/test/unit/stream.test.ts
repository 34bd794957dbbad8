import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import type { CredentialSource } from "../../src/config/secrets.js";
import { OrderStream } from "../../src/quub/stream.js";

describe("OrderStream", () => {
  let http: Server;
  let server: WebSocketServer;
  let stream: OrderStream;
  let forgotten = 0;
  const credentials: CredentialSource = {
    current: async () => ({ apiKey: "key-of-unit-tests", apiSecret: "not-a-real-value", orgId: "org-1" }),
    forget: () => (forgotten += 1),
  };

  beforeEach(async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    forgotten = 0;
    http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    server = new WebSocketServer({ server: http, autoPong: false });
    const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
    stream = new OrderStream(url, credentials, new Agent(), 20);
  });

  afterEach(() => {
    vi.restoreAllMocks();
    stream.close();
    server.clients.forEach((client) => client.terminate());
    server.close();
    http.close();
  });

  async function accepted(): Promise<[WebSocket, IncomingMessage]> {
    const [socket, request] = (await once(server, "connection")) as [WebSocket, IncomingMessage];
    socket.on("ping", (data) => socket.pong(data));
    return [socket, request];
  }

  it("connects with signed headers", async () => {
    const connected = once(stream, "connected");
    void stream.connect();

    const [, request] = await accepted();
    await connected;

    expect([request.url, request.headers["x-org-id"]]).toEqual(["/v1/stream", "org-1"]);
    expect(request.headers["x-signature"]).toMatch(/^[0-9a-f]{64}$/);
  });

  it("hands on orders, and leaves out a malformed message", async () => {
    const order = once(stream, "order");
    void stream.connect();

    const [socket] = await accepted();
    socket.send("{");
    socket.send('{"id":"o-1"}');

    await expect(order).resolves.toEqual([{ id: "o-1" }]);
  });

  it("comes back after the server has restarted", async () => {
    const disconnected = once(stream, "disconnected");
    void stream.connect();
    const [first] = await accepted();

    first.close(1012);
    const [second] = await accepted();

    await expect(disconnected).resolves.toEqual([1012]);
    expect(second).not.toBe(first);
  });

  it("ends a connection that answers no ping, and opens another one", async () => {
    void stream.connect();
    const [silent] = (await once(server, "connection")) as [WebSocket];

    const [ended] = await Promise.all([once(silent, "close"), once(server, "connection")]);

    expect(ended[0]).toBe(1006);
  });

  it("keeps a connection that answers its pings", async () => {
    void stream.connect();
    const [socket] = await accepted();

    await once(socket, "ping");
    await once(socket, "ping");
    await once(socket, "ping");

    expect(server.clients.size).toBe(1);
  });

  it("asks for new credentials after 401", async () => {
    server.close();
    server = new WebSocketServer({ noServer: true });
    http.once("upgrade", (_request, socket) => socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"));

    const disconnected = once(stream, "disconnected");
    await stream.connect();
    await disconnected;

    expect(forgotten).toBe(1);
  });

  it("tries again when the server is unavailable, and when no credentials are to be had", async () => {
    server.close();
    http.once("upgrade", (_request, socket) => socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
    const current = vi.spyOn(credentials, "current");

    const disconnected = once(stream, "disconnected");
    await stream.connect();
    current.mockRejectedValueOnce(new Error("throttled"));
    await disconnected;
    server = new WebSocketServer({ server: http });
    await once(server, "connection");

    expect([current.mock.calls.length, forgotten]).toEqual([3, 0]);
  });

  it("does not connect once it is closed", async () => {
    const closed = new OrderStream("wss://ws.quub.test", credentials);
    closed.close();
    await closed.connect();

    expect(server.clients.size).toBe(0);
  });
});
