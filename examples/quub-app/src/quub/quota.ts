import Bottleneck from "bottleneck";
import { Redis } from "ioredis";

/** Between two requests of all replicas together: Quub allows 20 a second. */
const QUOTA_PAUSE_MS = 50;

/** What Quub allows, spent one request at a time. */
export interface Quota {
  /** Waits its turn, after which a request may be sent. */
  take(): Promise<void>;
}

export const unlimited: Quota = { take: async () => undefined };

/** A quota that all replicas share. Where its counter cannot be reached, Quub's own limit is left to decide. */
export function sharedQuota(url: string): Quota {
  const client = new Redis(url, { connectTimeout: 3_000, commandTimeout: 500, maxRetriesPerRequest: 1 });
  const limiter = new Bottleneck({
    id: "quub-quota",
    datastore: "ioredis",
    connection: new Bottleneck.IORedisConnection({ client }),
    minTime: QUOTA_PAUSE_MS,
  });
  limiter.on("error", () => undefined);
  return { take: () => limiter.schedule(async () => undefined).catch(() => undefined) };
}
