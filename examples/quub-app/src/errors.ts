import * as Sentry from "@sentry/node";
import type { Config } from "./config/environments.js";

/** Errors go to Sentry under the environment and the release that they are of; without an address they go nowhere. */
export function startErrorTracking(config: Config): void {
  if (config.sentryDsn === undefined) {
    return;
  }
  Sentry.init({
    dsn: config.sentryDsn,
    environment: config.name,
    release: `quub-app@${config.release}`,
    sampleRate: 1,
  });
}

/** To be called with what nobody handles otherwise. */
export function reportError(error: unknown): void {
  Sentry.captureException(error);
}

/** Waits until what was reported has been sent, two seconds at most. */
export async function flushErrors(): Promise<void> {
  await Sentry.flush(2_000);
}
