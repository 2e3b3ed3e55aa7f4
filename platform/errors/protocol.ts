/**
 * Errors of the families `unauthorized` and `protocol`.
 *
 * @module
 */
import type { ErrorEntries } from "./entry.ts";

const SAME_VERSION =
  "Check that both sides run the same version. If they do, the peer is not honest, or an attacker is on the path.";

/** One side does not accept the other. */
export const UNAUTHORIZED = {
  "unauthorized/etcd": {
    meaning: "etcd and this client do not accept each other's certificates, or etcd does not allow the request.",
    remedy: "Check whether both certificates are of this cluster's etcd CA, valid, and for this address.",
  },
  "unauthorized/kubernetes-api": {
    meaning: "The API server does not know this client, or does not allow the request.",
    remedy: "Check the credentials, and the RBAC rules of their user.",
  },
  "unauthorized/operator": {
    meaning: "The caller of a node's init is not one of the operators of its configuration.",
    remedy: "Use the key of an operator that trust.operatorKeys of the node's configuration lists.",
  },
} as const satisfies ErrorEntries<`unauthorized/${string}`>;

/** A peer that broke the protocol. */
export const PROTOCOL = {
  "protocol/challenge": {
    meaning: "The verifier sent a challenge for evidence of a kind that has none.",
    remedy: SAME_VERSION,
  },
  "protocol/message-size": { meaning: "The peer sent a message that is too large.", remedy: SAME_VERSION },
  "protocol/other-server": {
    meaning: "Another program answers where an InitServer or a join service was expected.",
    remedy: "Check the address and the port: an InitServer's is 9443, and a join service's is 9444.",
  },
  "protocol/other-service": {
    meaning: "An InitServer answers where a join service was expected, or the other way round.",
    remedy: "Check the port: an InitServer's is 9443, and a join service's is 9444.",
  },
  "protocol/order": { meaning: "The peer sent an unexpected message.", remedy: SAME_VERSION },
  "protocol/progress": {
    meaning: "The node left out an event of its init, or sent one twice.",
    remedy:
      "Run init again: it continues with the same operation. If it happens again, compare the versions of both sides.",
  },
  "protocol/reconnect": {
    meaning: "The gRPC library tried to connect a second time, but a channel is bound to one connection.",
    remedy: "Run the command again.",
    untested: "reconnects are switched off in the library, so no test can make it connect a second time",
  },
  "protocol/tls": {
    meaning: "The connection is not TLS 1.3, was resumed, or the peer does not speak HTTP/2.",
    remedy: "Check whether a proxy or a load balancer between both sides ends TLS; it must pass TCP through.",
  },
} as const satisfies ErrorEntries<`protocol/${string}`>;
