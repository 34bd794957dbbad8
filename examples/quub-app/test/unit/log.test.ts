import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { createLog } from "../../src/log.js";

it("logs no credential and no personal data", () => {
  const lines: string[] = [];
  const log = createLog(new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }));

  log.info({ customer: { email: "someone@mail.test" }, apiSecret: "not-a-real-value" }, "order placed");

  expect(lines.join("")).toContain("[redacted]");
  expect(lines.join("")).not.toMatch(/someone|not-a-real/);
});
