import assert from "node:assert/strict";
import fc from "fast-check";
import { createRedactor, redact } from "./_redact.ts";

const TOKEN = "abcdef.0123456789abcdef";

Deno.test("redact() redacts bootstrap tokens, certificate keys and key data, and nothing else", () => {
  assert.equal(redact(`join --token ${TOKEN} now`), "join --token [redacted] now");
  assert.equal(redact(`"${TOKEN}",`), '"[redacted]",');
  assert.equal(redact(`--certificate-key ${"ab".repeat(32)}`), "--certificate-key [redacted]");
  assert.equal(redact("  client-key-data: LS0tLS1CRUdJTg=="), "  client-key-data: [redacted]");
  const harmless = `sha256:${
    "ab".repeat(32)
  } kubernetes.default.svc.cluster.local registry.k8s.io/pause:3.10.2 v1.36.3`;
  assert.equal(redact(harmless), harmless);
});

Deno.test("redact() redacts a private key that spans several lines", () => {
  const text = "before\nkey: -----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nabcd==\n-----END EC PRIVATE KEY-----\nafter";
  assert.equal(redact(text), "before\nkey: [redacted]\n[redacted]\n[redacted]\n[redacted]\nafter");
});

Deno.test("createRedactor() redacts the whole token anywhere in a line", () => {
  const token = fc.stringMatching(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  const around = fc.constantFrom("", " ", '"', "=", ":", "/", "\t", "[", ",");
  fc.assert(fc.property(around, token, around, (before, secret, after) => {
    assert.ok(!createRedactor()(before + secret + after).includes(secret));
  }));
});
