import { pino, type DestinationStream } from "pino";

/** Fields that never reach a log, at whatever depth the callers put them. */
export const REDACTED = ["apiKey", "apiSecret", "authorization", "email", "iban", "phone"].flatMap((name) => [
  name,
  `*.${name}`,
  `*.*.${name}`,
]);

export function createLog(destination?: DestinationStream) {
  const options = { level: "info", base: { service: "quub-app" }, redact: { paths: REDACTED, censor: "[redacted]" } };
  return destination === undefined ? pino(options) : pino(options, destination);
}
