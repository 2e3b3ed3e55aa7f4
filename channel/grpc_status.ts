/**
 * Refusals in the form in which `@grpc/grpc-js` sends them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Metadata } from "@grpc/grpc-js";
import type { StatusObject } from "@grpc/grpc-js";
import type { BootstrapError } from "../platform/errors.ts";
import type { Audience, RelayedStatus } from "./refusal.ts";
import { encodeStatus, METADATA_KEY } from "./refusal.ts";

/** Converts an error to a gRPC status with the refusal that the audience may see. */
export function statusOf(error: BootstrapError, audience: Audience): Partial<StatusObject> {
  return grpcStatus(encodeStatus(error, audience));
}

/** Returns the status by which gRPC sends a refusal. */
export function grpcStatus({ code, text: details, refusal }: RelayedStatus): Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set(METADATA_KEY, Buffer.from(refusal));
  return { code, details, metadata };
}
