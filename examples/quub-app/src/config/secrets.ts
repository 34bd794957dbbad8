import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { z } from "zod";

const credentials = z.object({
  apiKey: z.string().min(16),
  apiSecret: z.string().min(16),
  orgId: z.string().min(1),
});

export type QuubCredentials = z.infer<typeof credentials>;

export interface CredentialSource {
  /** The current credentials; asked again after `maxAgeMs` or `forget`. */
  current(): Promise<QuubCredentials>;
  /** Drop what is held, after Quub has refused it. */
  forget(): void;
}

const FIFTEEN_MINUTES = 15 * 60 * 1000;

/** Credentials of AWS Secrets Manager. One request serves all callers that wait at the same time. */
export class SecretsManagerCredentials implements CredentialSource {
  private held: { value: Promise<QuubCredentials>; since: number } | undefined;

  constructor(
    private readonly client: SecretsManagerClient,
    private readonly secretName: string,
    private readonly maxAgeMs = FIFTEEN_MINUTES,
    private readonly now: () => number = Date.now,
  ) {}

  current(): Promise<QuubCredentials> {
    if (this.held === undefined || this.now() - this.held.since >= this.maxAgeMs) {
      const value = this.fetch();
      this.held = { value, since: this.now() };
      value.catch(() => this.forget());
    }
    return this.held.value;
  }

  forget(): void {
    this.held = undefined;
  }

  private async fetch(): Promise<QuubCredentials> {
    const answer = await this.client.send(new GetSecretValueCommand({ SecretId: this.secretName }));
    return credentials.parse(JSON.parse(answer.SecretString ?? "null"));
  }
}

/** Credentials of the process environment, for development machines alone. */
export function readLocalCredentials(env: NodeJS.ProcessEnv): QuubCredentials {
  return credentials.parse({
    apiKey: env.QUUB_API_KEY,
    apiSecret: env.QUUB_API_SECRET,
    orgId: env.QUUB_ORG_ID,
  });
}
