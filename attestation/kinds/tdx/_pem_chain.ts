import { readPem, writePem } from "../../../certificate/pem.ts";
import { type Certificate, readCertificate } from "../../../certificate/x509.ts";
import { fromUtf8 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

const END = "-----END CERTIFICATE-----\n";

/**
 * Reads PEM blocks that follow each other directly, in the exact form that Intel writes. The PEM text is unsigned, so
 * no variation is accepted.
 *
 * @param pem Text in UTF-8.
 * @param what The field, for errors.
 * @param count The required number of certificates.
 * @throws {BootstrapError} `malformed/pem`, `malformed/base64`, `malformed/utf8`, `malformed/der`.
 */
export function readPemChain(pem: Uint8Array, what: string, count: number): Certificate[] {
  const text = fromUtf8(pem, what);
  const blocks = text.split(END);
  if (blocks.pop() !== "" || blocks.length !== count) {
    throw pemError(what, `it is not ${count} certificates in PEM`);
  }
  return blocks.map((block) => {
    const der = readPem(block + END, "CERTIFICATE", what);
    if (writePem("CERTIFICATE", der) !== block + END) throw pemError(what, "its PEM is not in its one form");
    return readCertificate(der, what);
  });
}

function pemError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/pem", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
