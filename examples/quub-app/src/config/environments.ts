import { z } from "zod";

/** Everything that differs between environments. Secrets are not part of it: see secrets.ts. */
export interface Config {
  readonly name: EnvironmentName;
  readonly port: number;
  readonly quub: {
    readonly apiUrl: string;
    readonly wsUrl: string;
    readonly secretName: string;
  };
  readonly redis: { readonly url: string; readonly defaultTtlSeconds: number };
  readonly release: string;
  readonly sentryDsn: string | undefined;
}

const environmentName = z.enum(["development", "staging", "production"]);
export type EnvironmentName = z.infer<typeof environmentName>;

const variables = z.object({
  NODE_ENV: environmentName,
  PORT: z.coerce.number().int().min(1).max(65535).default(3000),
  REDIS_URL: z.url(),
  DD_VERSION: z.string().default("unreleased"),
  SENTRY_DSN: z.url().optional(),
});

const quub: Record<EnvironmentName, Config["quub"]> = {
  development: {
    apiUrl: "https://api-sandbox.quub.fi",
    wsUrl: "wss://ws-sandbox.quub.fi",
    secretName: "development/quub/credentials",
  },
  staging: {
    apiUrl: "https://api-sandbox.quub.fi",
    wsUrl: "wss://ws-sandbox.quub.fi",
    secretName: "staging/quub/credentials",
  },
  production: {
    apiUrl: "https://api.quub.fi",
    wsUrl: "wss://ws.quub.fi",
    secretName: "production/quub/credentials",
  },
};

/** The configuration of this process. Throws when a variable is missing or wrong: there is no default environment. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const read = variables.parse(env);
  if (read.NODE_ENV === "production" && !read.REDIS_URL.startsWith("rediss://")) {
    throw new Error("REDIS_URL must be rediss:// in production");
  }
  return {
    name: read.NODE_ENV,
    port: read.PORT,
    quub: quub[read.NODE_ENV],
    redis: { url: read.REDIS_URL, defaultTtlSeconds: 30 },
    release: read.DD_VERSION,
    sentryDsn: read.SENTRY_DSN,
  };
}
