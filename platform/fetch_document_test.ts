import assert from "node:assert/strict";
import { rootCertificates } from "node:tls";
import { systemClock } from "./clock.ts";
import { documentClient } from "./fetch_document.ts";

Deno.test("documentClient() asks only for documents over HTTPS", async () => {
  using client = documentClient({ maximumBytes: 1, clock: systemClock, caCertificates: [] });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["cache", /not a URL/],
    ["http://127.0.0.1/a", /it is http, not https/],
    ["file:///a", /it is file, not https/],
    ["https://a:secret@127.0.0.1/a", /^(?!.*secret).*user or a password/],
    ["https://127.0.0.1/a?b", /a query or a fragment/],
    ["https://127.0.0.1/a#", /a query or a fragment/],
  ];
  for (const [url, message] of refused) await assert.rejects(client.fetch(url), { message }, url);
});

Deno.test("the public CAs that documentClient() believes are PEM certificates", () => {
  assert.ok(rootCertificates.length > 50);
  for (const pem of rootCertificates) {
    assert.match(pem, /^-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----$/);
  }
});
