import assert from "node:assert/strict";
import { closeProcessNetwork } from "./process_network.ts";

Deno.test("closeProcessNetwork() empties the store of CAs, and removes extra CAs and proxies", () => {
  const variables: Record<string, string> = {
    ...{ PATH: "/bin", NODE_EXTRA_CA_CERTS: "a.pem", DENO_CERT: "b.pem", SSL_CERT_FILE: "c.pem", SSL_CERT_DIR: "/d" },
    ...{ DENO_TLS_CA_STORE: "system", HTTPS_PROXY: "http://p", https_proxy: "http://p", HTTP_PROXY: "http://p" },
    ...{ ALL_PROXY: "http://p", grpc_proxy: "http://p", no_grpc_proxy: "x", NO_PROXY: "x", HTTPS_PROXY_NOTE: "kept" },
  };
  closeProcessNetwork({
    delete: (name) => void delete variables[name],
    set: (name, value) => void (variables[name] = value),
    toObject: () => ({ ...variables }),
  });
  assert.deepEqual(variables, { PATH: "/bin", DENO_TLS_CA_STORE: ",", HTTPS_PROXY_NOTE: "kept" });
});
