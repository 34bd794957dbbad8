import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhenResult, type CircuitBreakerPolicy } from "cockatiel";
import { circuitState } from "../metrics.js";

export { BrokenCircuitError } from "cockatiel";

const FAILURES = 5;
const PAUSE_MS = 10_000;

/** Opens after five calls in a row that failed or got no answer, and lets one call try again after ten seconds. */
export function quubBreaker(pauseMs = PAUSE_MS): CircuitBreakerPolicy {
  const breaker = circuitBreaker(handleWhenResult(isFailure), {
    halfOpenAfter: pauseMs,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
  const tell = (state: CircuitState) => circuitState.set(state);
  tell(breaker.state);
  breaker.onStateChange(tell);
  return breaker;
}

function isFailure(answer: unknown): boolean {
  if (answer === undefined) {
    return true;
  }
  return (answer as { readonly status: number }).status >= 500;
}
