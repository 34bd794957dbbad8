import { expect, it } from "vitest";
import { readConfig } from "../../src/config/environments.js";
import { reportError, startErrorTracking } from "../../src/errors.js";

it("sends errors nowhere without an address", () => {
  startErrorTracking(readConfig({ NODE_ENV: "staging", REDIS_URL: "redis://localhost:6379" }));

  expect(() => reportError(new Error("told to nobody"))).not.toThrow();
});
