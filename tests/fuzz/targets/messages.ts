/**
 * Single messages of the protocol.
 *
 * @module
 */
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { Metadata } from "@grpc/grpc-js";
import { errorOf } from "../../../channel/refusal.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { readInitRequest, sameOperation } from "../../../protocol/init_request.ts";
import {
  checkControlPlaneKit,
  decodeControlPlaneKit,
  encodeControlPlaneKit,
} from "../../../protocol/control_plane_kit.ts";
import { checkClaims, clusterNetwork } from "../../../service/claims_check.ts";
import { encodeRequest, readRequest } from "../../../protocol/join_request.ts";
import { openKit, sealKit } from "../../../protocol/sealed_kit.ts";
import { concat, equalBytes } from "../../../platform/bytes.ts";
import { errorFamily } from "../../../platform/errors.ts";
import * as protocol from "../../../proto/gen/bootstrapper.ts";
import * as etcd from "../../../proto/gen/etcd.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import type { MessageType } from "../_peer.ts";
import { eachOf, promiseOneOf } from "./_checks.ts";

const NOW = new Date("2026-05-01T00:00:00Z");
const A2 = new Uint8Array(32).fill(0xa2);
const NETWORK = clusterNetwork(["192.0.2.10:6443", "api.example.org:6443"], "kubernetesVersion: v1.36.3\n");
/** The message types that gRPC decodes from a peer. */
const ENVELOPES: readonly MessageType<unknown>[] = [
  protocol.InitClientMessage,
  protocol.InitServerMessage,
  protocol.JoinClientMessage,
  protocol.JoinServerMessage,
  protocol.FoundClientMessage,
  protocol.FoundServerMessage,
  protocol.Refusal,
  etcd.MemberListResponse,
  etcd.MemberRemoveResponse,
].map((type) => type as MessageType<unknown>);

/**
 * Errors of protobuf go to gRPC, which ends the call, so they must be errors. A message must not change when it is
 * written and read again.
 */
function readTwice(type: MessageType<unknown>, input: Uint8Array): void {
  let message: unknown;
  try {
    message = type.decode(input);
  } catch (error) {
    promise(error instanceof Error, "something other than an Error was thrown");
    return;
  }
  const written = type.encode(message).finish();
  promise(equalBytes(type.encode(type.decode(written)).finish(), written), "a message changes when it is read again");
}

export const messageTargets: readonly FuzzTarget[] = [
  {
    name: "messages",
    form: "protobuf",
    maximumBytes: 256 << 10,
    open: () => (input) => {
      for (const type of ENVELOPES) readTwice(type, input);
    },
  },
  {
    name: "refusal",
    form: "protobuf",
    maximumBytes: 9 << 10,
    mayEndIn: ["unavailable", "timeout", "aborted", "system", "internal"],
    open: () => (input) => {
      const metadata = new Metadata();
      metadata.set("bootstrapper-refusal-bin", Buffer.from(input));
      const error = errorOf({ code: 13, details: "failed", metadata });
      promise(errorFamily(error.code).length > 0 && error.message.length > 0, "a refusal has no text");
      promise(
        !/\p{Cc}/u.test(error.message + error.next + Object.values(error.details).join("")),
        "a refusal has control characters",
      );
      throw error;
    },
  },
  {
    name: "init-request",
    form: "protobuf",
    maximumBytes: 160 << 10,
    open: () => (input) =>
      promise(sameOperation(readInitRequest(input), readInitRequest(input)), "a request is not the same as itself"),
  },
  {
    name: "join-request",
    form: "protobuf",
    maximumBytes: 9 << 10,
    open: () => (input) => {
      const request = readRequest(input);
      promise(equalBytes(encodeRequest(request), input), "a request changes when it is written again");
      checkClaims(request, NETWORK);
    },
  },
  {
    name: "kit",
    form: "protobuf",
    maximumBytes: 130 << 10,
    async open(read) {
      const ca = readCertificate(await read("fixtures/ca.der"), "CA");
      return async (input) => {
        const kit = decodeControlPlaneKit(input);
        promise(equalBytes(encodeControlPlaneKit(kit), input), "a kit changes when it is written again");
        await checkControlPlaneKit(kit, ca, NOW, readPolicy);
      };
    },
  },
  {
    name: "sealed-kit",
    form: "bytes",
    maximumBytes: 130 << 10,
    async open(read) {
      const keys = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]) as CryptoKeyPair;
      const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
      const pair = { publicKey, privateKey: keys.privateKey };
      const kit = decodeControlPlaneKit(await read("kit/kit.bin"));
      const sealed = await sealKit(publicKey, A2, kit);
      const made = concat(sealed.encapsulatedKey, sealed.ciphertext);
      const split = (bytes: Uint8Array) => ({ encapsulatedKey: bytes.slice(0, 32), ciphertext: bytes.slice(32) });
      return (input) =>
        eachOf(
          async () => {
            await openKit(pair, A2, split(input));
            promiseOneOf(input, [made], "a sealed kit");
          },
          async () => {
            // The input as a change of the sealed kit.
            const changed = made.map((octet, i) => octet ^ (input[i] ?? 0));
            await openKit(pair, A2, split(changed));
            promiseOneOf(changed, [made], "a sealed kit");
          },
          () => sealKit(input.slice(0, 32), A2, kit),
        );
    },
  },
];
