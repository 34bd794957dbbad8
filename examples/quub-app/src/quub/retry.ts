/** What is sent again, how often, and after which pause. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
}

export const RETRY_POLICY: RetryPolicy = { attempts: 3, baseMs: 200, capMs: 5_000 };

const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Whether a failed request may be sent again; `status` is undefined when no answer came. */
export function mayRetry(method: string, status: number | undefined, hasIdempotencyKey: boolean): boolean {
  const isSafe = IDEMPOTENT.has(method.toUpperCase()) || hasIdempotencyKey;
  return isSafe && (status === undefined || TRANSIENT.has(status));
}

/** Milliseconds to wait before the attempt after `attempt` (counted from 1): what the server asks, or full jitter. */
export function pauseMs(
  attempt: number,
  retryAfter: string | undefined,
  policy: RetryPolicy = RETRY_POLICY,
  now: number = Date.now(),
  random: () => number = Math.random,
): number {
  const asked = readRetryAfter(retryAfter, now);
  if (asked !== undefined) {
    return asked;
  }
  return random() * Math.min(policy.capMs, policy.baseMs * 2 ** attempt);
}

function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (/^\d+$/.test(value.trim())) {
    return Number(value) * 1000;
  }
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
