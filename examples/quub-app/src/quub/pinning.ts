import { createHash, X509Certificate } from "node:crypto";
import { checkServerIdentity as checkHostname, type DetailedPeerCertificate, type PeerCertificate } from "node:tls";

export type IdentityCheck = (host: string, certificate: PeerCertificate) => Error | undefined;

/** SHA-256 of the certificate's public key (SPKI), base64. */
export function spkiPin(der: Buffer): string {
  const spki = new X509Certificate(der).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(spki).digest("base64");
}

/** An identity check that wants the right host name and, in the chain, at least one of the pinned keys. */
export function pinnedIdentity(pins: readonly string[]): IdentityCheck {
  if (pins.length < 2) {
    throw new Error("pinning needs the pin in use and a backup pin");
  }
  return (host, certificate) => {
    const mismatch = checkHostname(host, certificate);
    if (mismatch !== undefined) {
      return mismatch;
    }
    const isPinned = chainOf(certificate as DetailedPeerCertificate).some((der) => pins.includes(spkiPin(der)));
    return isPinned ? undefined : new Error(`${host} presented no certificate with a pinned key`);
  };
}

function chainOf(leaf: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  const seen = new Set<string>();
  let certificate: DetailedPeerCertificate | undefined = leaf;
  // A root names itself as its issuer.
  while (certificate?.raw !== undefined && !seen.has(certificate.fingerprint256)) {
    seen.add(certificate.fingerprint256);
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
