/**
 * SHA-256 of the public keys (SPKI, base64) with which Quub's certificates are signed.
 * The first is in use, the second is the key that Quub holds in reserve.
 */
export const QUUB_PINS: readonly string[] = [
  "Vq0NTuTeI1cC2nMQ6JhSeoQiCZ0oQmQHzL2Y7zDq7nM=",
  "b8LUmgqZPAUWOvq0YBC0m1iSqrZFqDQeoFRSmtGX7V0=",
];

/** After this day the pins must have been reviewed. */
export const PINS_EXPIRE_ON = "2027-12-31";
