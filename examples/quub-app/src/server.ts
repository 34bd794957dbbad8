import { SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { Cache } from "./cache.js";
import { readConfig } from "./config/environments.js";
import { readLocalCredentials, SecretsManagerCredentials, type CredentialSource } from "./config/secrets.js";
import { flushErrors, reportError, startErrorTracking } from "./errors.js";
import { createHttpServer } from "./http.js";
import { createLog } from "./log.js";
import { followOrders } from "./orders.js";
import { QuubClient, quubAgent } from "./quub/client.js";
import { sharedQuota } from "./quub/quota.js";
import { OrderStream } from "./quub/stream.js";

const log = createLog();
const config = readConfig(process.env);
startErrorTracking(config);

const credentials: CredentialSource =
  config.name === "development"
    ? { current: async () => readLocalCredentials(process.env), forget: () => undefined }
    : new SecretsManagerCredentials(new SecretsManagerClient({ maxAttempts: 3 }), config.quub.secretName);

const cache = Cache.connect(config.redis.url, config.redis.defaultTtlSeconds);
const quub = new QuubClient(config.quub.apiUrl, credentials, quubAgent, undefined, sharedQuota(config.redis.url));
const stream = new OrderStream(config.quub.wsUrl, credentials);

stream.on("connected", () => log.info("order stream connected"));
stream.on("disconnected", (code) => log.warn({ code }, "order stream disconnected"));
followOrders(stream, cache, quub, (error) => {
  log.error({ error }, "order not read");
  reportError(error);
});

const server = createHttpServer({ isReady: () => cache.isUp() });
server.listen(config.port, () => log.info({ port: config.port, environment: config.name }, "listening"));
stream.connect().catch((error: unknown) => {
  log.fatal({ error }, "no credentials");
  reportError(error);
  void flushErrors().finally(() => process.exit(1));
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    stream.close();
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(1), 10_000).unref();
  });
}
