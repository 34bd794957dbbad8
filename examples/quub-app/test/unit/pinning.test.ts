import { createHash, X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import { pinnedIdentity, spkiPin } from "../../src/quub/pinning.js";

const issuer = new X509Certificate(rootCertificates[0] ?? "");
const otherPin = createHash("sha256").update("another key").digest("base64");

function presented(): PeerCertificate {
  const root = { raw: issuer.raw, fingerprint256: issuer.fingerprint256 };
  return {
    subject: { CN: "api.quub.fi" },
    subjectaltname: "DNS:api.quub.fi",
    ...root,
    issuerCertificate: root,
  } as unknown as PeerCertificate;
}

describe("pinnedIdentity", () => {
  const pin = spkiPin(issuer.raw);

  it("accepts a chain with a pinned key", () => {
    expect(pinnedIdentity([pin, otherPin])("api.quub.fi", presented())).toBeUndefined();
  });

  it("refuses a chain without one", () => {
    expect(pinnedIdentity([otherPin, "x"])("api.quub.fi", presented())?.message).toContain("no certificate with a pinned key");
  });

  it("refuses another host even with a pinned key", () => {
    expect(pinnedIdentity([pin, otherPin])("api.example.test", presented())).toBeInstanceOf(Error);
  });

  it("wants a backup pin", () => {
    expect(() => pinnedIdentity([pin])).toThrow("backup pin");
  });
});
