import { CircuitState } from "cockatiel";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { circuitState } from "../../src/metrics.js";
import { BrokenCircuitError, quubBreaker } from "../../src/quub/breaker.js";

const answers = (status?: number) => async () => (status === undefined ? undefined : { status });
const told = async () => (await circuitState.get()).values[0]?.value;

describe("quubBreaker", () => {
  it.each([500, 503, undefined])("opens after five answers %s in a row", async (status) => {
    const breaker = quubBreaker();
    expect(await told()).toBe(CircuitState.Closed);

    for (let call = 0; call < 5; call += 1) {
      await breaker.execute(answers(status));
    }

    await expect(breaker.execute(answers(200))).rejects.toThrow(BrokenCircuitError);
    expect(await told()).toBe(CircuitState.Open);
  });

  it.each([200, 404, 499])("stays closed after answers %s", async (status) => {
    const breaker = quubBreaker();

    for (let call = 0; call < 10; call += 1) {
      await breaker.execute(answers(status));
    }

    expect(breaker.state).toBe(CircuitState.Closed);
  });

  it("closes again after one good answer", async () => {
    const breaker = quubBreaker(20);
    for (let call = 0; call < 5; call += 1) {
      await breaker.execute(answers(500));
    }

    await sleep(40);
    await breaker.execute(answers(200));

    expect([breaker.state, await told()]).toEqual([CircuitState.Closed, CircuitState.Closed]);
  });
});
