// A certified OpenID provider on a port of 127.0.0.1 that the system picks; prints its issuer when it listens.
// Configured by one JSON argument: accessTokenTTL and refreshTokenTTL (seconds), rotate (boolean), grace (seconds).
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const wanted = JSON.parse(process.argv[2]);
const AUDIENCE = "urn:orders";

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "orders",
      client_secret: wanted.secret,
      grant_types: ["client_credentials", "password", "refresh_token"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: wanted.authMethod,
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "orders",
        accessTokenFormat: wanted.format,
        accessTokenTTL: wanted.accessTokenTTL,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  rotateRefreshToken: wanted.rotate,
  ttl: {
    AccessToken: wanted.accessTokenTTL,
    ClientCredentials: wanted.accessTokenTTL,
    Grant: 14 * 86400,
    IdToken: 300,
    RefreshToken: wanted.refreshTokenTTL,
  },
});

// The password grant, for want of a browser.
provider.registerGrantType(
  "password",
  async (ctx) => {
    const { client, params } = ctx.oidc;
    if (params.username !== "ada" || params.password !== wanted.password) {
      ctx.status = 400;
      ctx.body = { error: "invalid_grant" };
      return;
    }
    const { AccessToken, Grant, RefreshToken } = provider;
    const grant = new Grant({ accountId: "ada", clientId: client.clientId });
    grant.addOIDCScope("openid offline_access");
    grant.addResourceScope(AUDIENCE, "orders");
    const common = { accountId: "ada", client, grantId: await grant.save(), gty: "password", scope: "openid offline_access orders" };
    const access = new AccessToken({ ...common, resourceServer: undefined });
    access.resourceServer = new provider.ResourceServer(AUDIENCE, {
      scope: "orders",
      accessTokenFormat: wanted.format,
      accessTokenTTL: wanted.accessTokenTTL,
      jwt: { sign: { alg: "RS256" } },
    });
    const refresh = new RefreshToken({ ...common, resource: AUDIENCE, rotations: 0, iiat: Math.floor(Date.now() / 1000) });
    ctx.body = {
      access_token: await access.save(),
      expires_in: access.expiration,
      refresh_token: await refresh.save(),
      token_type: "Bearer",
    };
  },
  ["username", "password", "scope"],
);

provider.on("server_error", (ctx, error) => console.error(error));
server.on("request", provider.callback());
console.log(issuer);
