import { Redis } from "ioredis";
import { cacheLookups } from "./metrics.js";

/** Values that may be a few seconds old. Every key has an end of life; a broken cache is a miss, never an error. */
export class Cache {
  constructor(
    private readonly redis: Pick<Redis, "get" | "set" | "del" | "ping">,
    private readonly defaultTtlSeconds: number,
  ) {}

  static connect(url: string, defaultTtlSeconds: number): Cache {
    const redis = new Redis(url, {
      connectTimeout: 3_000,
      commandTimeout: 500,
      maxRetriesPerRequest: 1,
      enableOfflineQueue: false,
    });
    redis.on("error", () => undefined);
    return new Cache(redis, defaultTtlSeconds);
  }

  async through<T>(key: string, load: () => Promise<T>, ttlSeconds = this.defaultTtlSeconds): Promise<T> {
    const held = await this.redis.get(key).catch(() => null);
    cacheLookups.inc({ outcome: held === null ? "miss" : "hit" });
    if (held !== null) {
      return JSON.parse(held) as T;
    }
    const value = await load();
    await this.redis.set(key, JSON.stringify(value), "EX", ttlSeconds).catch(() => undefined);
    return value;
  }

  /** To be called by whatever changes the value behind `key`. */
  async invalidate(key: string): Promise<void> {
    await this.redis.del(key).catch(() => undefined);
  }

  async isUp(): Promise<boolean> {
    return this.redis.ping().then(
      () => true,
      () => false,
    );
  }
}
