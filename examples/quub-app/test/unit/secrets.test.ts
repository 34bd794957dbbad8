import type { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { describe, expect, it, vi } from "vitest";
import { readLocalCredentials, SecretsManagerCredentials } from "../../src/config/secrets.js";

function answering(...answers: (string | Error)[]) {
  const send = vi.fn(async () => {
    const next = answers.shift();
    if (next instanceof Error) {
      throw next;
    }
    return { SecretString: next };
  });
  return { send, client: { send } as unknown as SecretsManagerClient };
}

const stored = (generation: number) =>
  JSON.stringify({ apiKey: `key-of-unit-tests-${generation}`, apiSecret: "not-a-real-value", orgId: "org-1" });

describe("SecretsManagerCredentials", () => {
  it("asks once for callers that wait at the same time", async () => {
    const { send, client } = answering(stored(1));
    const source = new SecretsManagerCredentials(client, "staging/quub/credentials");

    await Promise.all([source.current(), source.current()]);

    expect(send).toHaveBeenCalledTimes(1);
  });

  it("asks again when the value is too old", async () => {
    let now = 0;
    const { client } = answering(stored(1), stored(2));
    const source = new SecretsManagerCredentials(client, "staging/quub/credentials", 1000, () => now);

    await source.current();
    now = 1000;

    await expect(source.current()).resolves.toMatchObject({ apiKey: "key-of-unit-tests-2" });
  });

  it("does not hold on to a failure", async () => {
    const { client } = answering(new Error("throttled"), stored(1));
    const source = new SecretsManagerCredentials(client, "staging/quub/credentials");

    await expect(source.current()).rejects.toThrow("throttled");
    await expect(source.current()).resolves.toMatchObject({ orgId: "org-1" });
  });

  it("refuses a secret without a value", async () => {
    await expect(new SecretsManagerCredentials(answering().client, "x").current()).rejects.toThrow();
  });

  it("refuses a secret with a missing field", async () => {
    const { client } = answering(JSON.stringify({ apiKey: "key-of-unit-tests-1" }));

    await expect(new SecretsManagerCredentials(client, "x").current()).rejects.toThrow("apiSecret");
  });
});

describe("readLocalCredentials", () => {
  it("reads what a development machine has", () => {
    const env = { QUUB_API_KEY: "key-of-unit-tests", QUUB_API_SECRET: "not-a-real-value", QUUB_ORG_ID: "org-1" };

    expect(readLocalCredentials(env).orgId).toBe("org-1");
  });
});
