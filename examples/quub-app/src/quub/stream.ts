import { EventEmitter } from "node:events";
import type { Agent } from "node:http";
import { WebSocket } from "ws";
import type { CredentialSource } from "../config/secrets.js";
import { quubAgent, sign } from "./client.js";
import { pauseMs } from "./retry.js";

const HEARTBEAT_MS = 20_000;
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Order events of Quub. Reconnects until `close`, with growing pauses; a missed heartbeat ends a dead connection. */
export class OrderStream extends EventEmitter<{ order: [unknown]; connected: []; disconnected: [number] }> {
  private socket: WebSocket | undefined;
  private reconnect: NodeJS.Timeout | undefined;
  private attempt = 0;
  private isClosed = false;

  constructor(
    private readonly wsUrl: string,
    private readonly credentials: CredentialSource,
    private readonly agent: Agent = quubAgent,
    private readonly heartbeatMs = HEARTBEAT_MS,
  ) {
    super();
  }

  async connect(): Promise<void> {
    const headers = sign(await this.credentials.current(), "GET", "/v1/stream", "", Date.now());
    if (this.isClosed) {
      return;
    }
    const socket = new WebSocket(new URL("/v1/stream", this.wsUrl), {
      agent: this.agent,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: 1024 * 1024,
      headers,
    });
    this.socket = socket;
    let isAlive = true;
    let heartbeat: NodeJS.Timeout | undefined;
    const beat = () => {
      if (!isAlive) {
        socket.terminate();
        return;
      }
      isAlive = false;
      socket.ping();
    };
    socket.on("open", () => {
      this.attempt = 0;
      heartbeat = setInterval(beat, this.heartbeatMs);
      this.emit("connected");
    });
    socket.on("pong", () => {
      isAlive = true;
    });
    socket.on("message", (data) => {
      const event = parse(data.toString());
      if (event !== undefined) {
        this.emit("order", event);
      }
    });
    socket.on("unexpected-response", (_request, response) => {
      if (response.statusCode === 401) {
        this.credentials.forget();
      }
      socket.terminate();
    });
    // `close` follows every error, and reconnects.
    socket.on("error", () => undefined);
    socket.on("close", (code) => {
      clearInterval(heartbeat);
      this.emit("disconnected", code);
      this.scheduleReconnect();
    });
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.reconnect);
    this.socket?.close(1000);
  }

  private scheduleReconnect(): void {
    if (this.isClosed) {
      return;
    }
    this.attempt += 1;
    this.reconnect = setTimeout(() => {
      this.connect().catch(() => this.scheduleReconnect());
    }, pauseMs(this.attempt, undefined, { attempts: Infinity, baseMs: 500, capMs: 30_000 }));
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
