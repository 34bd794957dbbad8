import { describe, expect, it } from "vitest";
import { readConfig } from "../../src/config/environments.js";

describe("readConfig", () => {
  it("selects production on purpose", () => {
    const config = readConfig({ NODE_ENV: "production", REDIS_URL: "rediss://cache.internal:6379" });

    expect(config.quub.apiUrl).toBe("https://api.quub.fi");
  });

  it.each([undefined, "", "prod"])("refuses the environment %s", (name) => {
    expect(() => readConfig({ NODE_ENV: name, REDIS_URL: "redis://localhost:6379" })).toThrow("NODE_ENV");
  });

  it("names the release, and sends errors nowhere unless it is told where", () => {
    const config = readConfig({ NODE_ENV: "staging", REDIS_URL: "redis://localhost:6379", DD_VERSION: "1.4.0" });

    expect([config.release, config.sentryDsn]).toEqual(["1.4.0", undefined]);
  });

  it("refuses an unencrypted cache in production", () => {
    expect(() => readConfig({ NODE_ENV: "production", REDIS_URL: "redis://cache.internal:6379" })).toThrow("rediss");
  });
});
