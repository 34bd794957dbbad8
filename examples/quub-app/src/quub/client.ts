import { createHmac, randomUUID } from "node:crypto";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import axios, { isAxiosError, type AxiosInstance, type AxiosResponse } from "axios";
import { z } from "zod";
import type { CredentialSource, QuubCredentials } from "../config/secrets.js";
import { apiCalls, apiLatency } from "../metrics.js";
import { BrokenCircuitError, quubBreaker } from "./breaker.js";
import { pinnedIdentity } from "./pinning.js";
import { QUUB_PINS } from "./pins.js";
import { unlimited, type Quota } from "./quota.js";
import { mayRetry, pauseMs, RETRY_POLICY } from "./retry.js";

const order = z.object({
  id: z.string(),
  instrument: z.string(),
  side: z.enum(["buy", "sell"]),
  quantity: z.string(),
  status: z.enum(["open", "filled", "cancelled"]),
});

export type Order = Readonly<z.infer<typeof order>>;
export type NewOrder = Pick<Order, "instrument" | "side" | "quantity">;

const REQUEST_TIMEOUT_MS = 5_000;
const LONGEST_PAUSE_MS = 30_000;

/** One pool of connections for the whole process. */
export const quubAgent = new https.Agent({
  keepAlive: true,
  keepAliveMsecs: 15_000,
  maxSockets: 50,
  maxFreeSockets: 10,
  minVersion: "TLSv1.2",
  checkServerIdentity: pinnedIdentity(QUUB_PINS),
});

interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** The path with its variable parts named, so that metrics stay few. */
  readonly route: string;
  readonly body?: unknown;
}

/** The Quub Exchange REST API. */
export class QuubClient {
  private readonly http: AxiosInstance;

  constructor(
    apiUrl: string,
    private readonly credentials: CredentialSource,
    agent: https.Agent = quubAgent,
    private readonly pause: (ms: number) => Promise<unknown> = sleep,
    private readonly quota: Quota = unlimited,
    private readonly breaker = quubBreaker(),
  ) {
    this.http = axios.create({
      baseURL: apiUrl,
      timeout: REQUEST_TIMEOUT_MS,
      httpsAgent: agent,
      maxRedirects: 0,
      maxContentLength: 5 * 1024 * 1024,
      validateStatus: () => true,
    });
  }

  async getOrder(id: string): Promise<Order> {
    return this.order({ method: "GET", path: `/v1/orders/${encodeURIComponent(id)}`, route: "/v1/orders/:id" });
  }

  async placeOrder(wanted: NewOrder): Promise<Order> {
    return this.order({ method: "POST", path: "/v1/orders", route: "/v1/orders", body: wanted });
  }

  async cancelOrder(id: string): Promise<void> {
    await this.send({ method: "DELETE", path: `/v1/orders/${encodeURIComponent(id)}`, route: "/v1/orders/:id" });
  }

  private async order(call: Call): Promise<Order> {
    const answer = await this.send(call);
    const read = order.safeParse(answer.data);
    if (!read.success) {
      throw new QuubError(call.method, call.route, answer.status);
    }
    return read.data;
  }

  private async send(call: Call): Promise<AxiosResponse<unknown>> {
    const idempotencyKey = call.method === "POST" ? randomUUID() : undefined;
    let isRefreshed = false;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.sendGuarded(call, idempotencyKey);
      const status = answer?.status;
      if (answer !== undefined && answer.status < 300) {
        return answer;
      }
      if (status === 401 && !isRefreshed) {
        // The key was rotated while we held the old one.
        isRefreshed = true;
        this.credentials.forget();
        continue;
      }
      if (attempt >= RETRY_POLICY.attempts || !mayRetry(call.method, status, idempotencyKey !== undefined)) {
        throw new QuubError(call.method, call.route, status);
      }
      const asked: unknown = answer?.headers["retry-after"];
      await this.pause(Math.min(LONGEST_PAUSE_MS, pauseMs(attempt, typeof asked === "string" ? asked : undefined)));
    }
  }

  /** While the circuit is open, nothing is sent, and nothing waits. */
  private async sendGuarded(call: Call, idempotencyKey?: string): Promise<AxiosResponse<unknown> | undefined> {
    try {
      return await this.breaker.execute(() => this.sendOnce(call, idempotencyKey));
    } catch (error) {
      throw error instanceof BrokenCircuitError ? new QuubError(call.method, call.route, undefined) : error;
    }
  }

  private async sendOnce(call: Call, idempotencyKey?: string): Promise<AxiosResponse<unknown> | undefined> {
    await this.quota.take();
    const body = call.body === undefined ? "" : JSON.stringify(call.body);
    const signed = sign(await this.credentials.current(), call.method, call.path, body, Date.now());
    const stop = apiLatency.startTimer({ endpoint: call.route });
    try {
      const answer = await this.http.request<unknown>({
        method: call.method,
        url: call.path,
        ...(body === "" ? {} : { data: body }),
        headers: {
          ...signed,
          ...(body === "" ? {} : { "Content-Type": "application/json" }),
          ...(idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey }),
        },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      apiCalls.inc({ endpoint: call.route, method: call.method, status: String(answer.status) });
      return answer;
    } catch (error) {
      if (!isAxiosError(error)) {
        throw error;
      }
      apiCalls.inc({ endpoint: call.route, method: call.method, status: error.code ?? "network" });
      return undefined;
    } finally {
      stop();
    }
  }
}

/** A request that Quub refused, or that got no answer within its attempts. */
export class QuubError extends Error {
  constructor(
    method: string,
    route: string,
    readonly status: number | undefined,
  ) {
    super(`${method} ${route}: ${status === undefined ? "no answer" : `answered ${status}`}`);
    this.name = "QuubError";
  }
}

/** The headers that prove who sends the request. */
export function sign(
  credentials: QuubCredentials,
  method: string,
  path: string,
  body: string,
  timestamp: number,
): Record<string, string> {
  const signature = createHmac("sha256", credentials.apiSecret)
    .update(`${timestamp}${method}${path}${body}`)
    .digest("hex");
  return {
    "X-API-Key": credentials.apiKey,
    "X-Org-Id": credentials.orgId,
    "X-Timestamp": String(timestamp),
    "X-Signature": signature,
  };
}
