import { describe, expect, it } from "vitest";
import { mayRetry, pauseMs } from "../../src/quub/retry.js";

describe("mayRetry", () => {
  it.each([
    ["GET", 503, false, true],
    ["GET", undefined, false, true],
    ["POST", 503, false, false],
    ["POST", 503, true, true],
    ["GET", 404, false, false],
  ])("%s after %s, idempotency key %s: %s", (method, status, hasKey, expected) => {
    expect(mayRetry(method, status, hasKey)).toBe(expected);
  });
});

describe("pauseMs", () => {
  const policy = { attempts: 3, baseMs: 100, capMs: 1000 };

  it("doubles, up to the cap", () => {
    const pauses = [1, 2, 3, 4, 5].map((attempt) => pauseMs(attempt, undefined, policy, 0, () => 1));

    expect(pauses).toEqual([200, 400, 800, 1000, 1000]);
  });

  it("honours a date", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");

    expect(pauseMs(1, "Thu, 01 Jan 2026 00:00:03 GMT", policy, now)).toBe(3000);
  });

  it("ignores what is neither seconds nor a date", () => {
    expect(pauseMs(1, "soon", policy, 0, () => 0.5)).toBe(100);
  });
});
