/**
 * Answers of the Kubernetes API and output of programs.
 *
 * @module
 */
import * as v from "valibot";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { CutEntries } from "../../../kubernetes/cut_entries.ts";
import { readEpochs } from "../../../kubernetes/epochs.ts";
import { NodeAdmissions } from "../../../kubernetes/node_admissions.ts";
import { readAuthorizationConfiguration } from "../../../kubernetes/authorization_configuration.ts";
import type { AnswerSchema } from "../../../kubernetes/api.ts";
import { statusError } from "../../../kubernetes/_api_status.ts";
import { parseFailedChecks, parseFailure, parseProgress } from "../../../kubernetes/_kubeadm_output.ts";
import { missingImages } from "../../../kubernetes/images.ts";
import { Leases } from "../../../kubernetes/lease.ts";
import { findNamedNode } from "../../../kubernetes/named_node.ts";
import { RemovalRequests } from "../../../kubernetes/removal_requests.ts";
import { fromUtf8 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf } from "./_checks.ts";

const IDENTITY = "1d".repeat(32);
/**
 * The number of requests that one call may make. An API server whose list never ends must not block a caller forever.
 */
const MOST_CALLS = 40;

/** An API server that gives the same answer to every request. */
function apiOf(text: string) {
  let calls = 0;
  const answer = async <T>(_path: string, schema: AnswerSchema<T>): Promise<T> => {
    if (++calls > MOST_CALLS) throw new BootstrapError("unavailable/kubernetes-api", "Enough");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new BootstrapError("malformed/kubernetes-api", "not JSON", { cause });
    }
    const result = await schema["~standard"].validate(value);
    if (result.issues === undefined) return result.value;
    throw new BootstrapError("malformed/kubernetes-api", "something else");
  };
  return {
    find: answer,
    get: answer,
    create: <T>(path: string, _object: unknown, schema: AnswerSchema<T>) => answer(path, schema),
    replace: <T>(path: string, _object: unknown, schema: AnswerSchema<T>) => answer(path, schema),
    remove: () => Promise.resolve(true),
    apply: async (path: string): Promise<void> => void await answer(path, v.unknown()),
  };
}

/** The API that {@linkcode apiOf} returns. */
export type FuzzApi = ReturnType<typeof apiOf>;

export const answerTargets: readonly FuzzTarget[] = [
  {
    name: "kubernetes-objects",
    form: "json",
    maximumBytes: 64 << 10,
    mayEndIn: ["unavailable"],
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      return eachOf(
        () => new AdmissionRecords(apiOf(text)).find(IDENTITY),
        () => new AdmissionRecords(apiOf(text)).byName("worker-1"),
        () => new AdmissionRecords(apiOf(text)).byAddress("192.0.2.7"),
        () => new AdmissionRecords(apiOf(text)).end("worker-1", IDENTITY, 0),
        () => new NodeAdmissions(apiOf(text)).list(),
        () => new CutEntries(apiOf(text)).list(),
        () => readEpochs(apiOf(text)),
        () => new RemovalRequests(apiOf(text)).find("worker-1"),
        () => new RemovalRequests(apiOf(text)).listWaiting(),
        () => findNamedNode(apiOf(text), "worker-1"),
        () => new Leases(apiOf(text), "kube-system").find("control-plane"),
      );
    },
  },
  {
    name: "authorization-configuration",
    form: "text",
    maximumBytes: 16 << 10,
    open: () => (input) => readAuthorizationConfiguration(fromUtf8(input, "fuzz")),
  },
  {
    name: "kubernetes-status",
    form: "json",
    maximumBytes: 64 << 10,
    mayEndIn: ["unavailable", "internal"],
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      for (const status of [400, 404, 409, 503]) statusError("GET /x", status, text);
      throw statusError("GET /x", 300 + (input.length % 300), text);
    },
  },
  {
    name: "program-output",
    form: "text",
    maximumBytes: 128 << 10,
    open: () => async (input) => {
      const text = fromUtf8(input, "fuzz");
      for (const line of text.split("\n")) parseProgress(line);
      parseFailedChecks(text);
      promise(typeof parseFailure(text).reason === "string", "a failure has no reason");
      const commands = { run: () => Promise.resolve({ code: 0, stdout: text, stderr: "" }) };
      await missingImages(commands, ["a"], 1);
    },
  },
];
