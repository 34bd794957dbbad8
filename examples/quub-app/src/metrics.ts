import { Counter, Gauge, Histogram, register } from "prom-client";

export { register };

export const apiCalls = new Counter({
  name: "quub_api_calls_total",
  help: "Calls of the Quub API by outcome",
  labelNames: ["endpoint", "method", "status"],
});

export const apiLatency = new Histogram({
  name: "quub_api_latency_seconds",
  help: "Duration of calls of the Quub API",
  labelNames: ["endpoint"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2, 5],
});

export const cacheLookups = new Counter({
  name: "quub_cache_lookups_total",
  help: "Lookups in the cache by outcome",
  labelNames: ["outcome"],
});

export const circuitState = new Gauge({
  name: "quub_circuit_state",
  help: "Of the circuit breaker before Quub: 0 closed, 1 open, 2 half-open",
});
