import assert from "node:assert/strict";
import { writePem } from "../certificate/pem.ts";
import { base64, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { AnswerSchema } from "./api.ts";
import { approveServingRequest, derOfServingRequest, pendingServingRequests } from "./serving_certificates.ts";

const SIGNER = "kubernetes.io/kubelet-serving";

async function validate<T>(schema: AnswerSchema<T>, answer: unknown): Promise<T> {
  const result = await schema["~standard"].validate(answer);
  assert.equal(result.issues, undefined, JSON.stringify(result.issues));
  return (result as { readonly value: T }).value;
}

function csrOf(name: string, status: unknown = {}): Record<string, unknown> {
  const spec = { signerName: SIGNER, username: "u", groups: ["g"], usages: ["server auth"], request: "AAAA", uid: "x" };
  return { metadata: { name, uid: `uid-${name}`, resourceVersion: "7" }, spec, status };
}

/** An API server with these requests. It refuses an answer with more than `mostItems` of them as too long. */
function apiOf(items: readonly Record<string, unknown>[], mostItems = items.length) {
  const asked: URLSearchParams[] = [];
  const get = <T>(path: string, schema: AnswerSchema<T>): Promise<T> => {
    const query = new URL(path, "https://x").searchParams;
    asked.push(query);
    const from = Number(query.get("continue") ?? "");
    const to = Math.min(from + Number(query.get("limit")), items.length);
    if (to - from > mostItems) return Promise.reject(new BootstrapError("malformed/kubernetes-api", "too long"));
    const metadata = to < items.length ? { continue: String(to) } : {};
    return validate(schema, { metadata, items: items.slice(from, to) });
  };
  return { get, asked };
}

const namesOf = async (api: ReturnType<typeof apiOf>) =>
  (await Array.fromAsync(pendingServingRequests(api))).map(({ name }) => name);

Deno.test("pendingServingRequests() yields the undecided requests when there are several pages", async () => {
  const many = Array.from({ length: 450 }, (_, index) => csrOf(`n${index}`));
  const api = apiOf(many);
  assert.deepEqual(await namesOf(api), many.map((_, index) => `n${index}`));
  assert.deepEqual(api.asked.map((query) => query.get("limit")), ["200", "200", "200"]);
  assert.ok(api.asked.every((query) => query.get("fieldSelector") === `spec.signerName=${SIGNER}`));
});

Deno.test("pendingServingRequests() leaves out requests that are approved, denied, failed or signed", async () => {
  const condition = (type: string) => ({ conditions: [{ type, status: "True" }] });
  const items = [
    csrOf("approved", condition("Approved")),
    csrOf("denied", condition("Denied")),
    csrOf("failed", condition("Failed")),
    csrOf("signed", { certificate: "AAAA" }),
    csrOf("noted", condition("Noted")),
    csrOf("new"),
  ];
  assert.deepEqual(await namesOf(apiOf(items)), ["noted", "new"]);
});

Deno.test("pendingServingRequests() reads requests one by one when an answer would be too long", async () => {
  const api = apiOf(["a", "b", "c"].map((name) => csrOf(name)), 1);
  assert.deepEqual(await namesOf(api), ["a", "b", "c"]);
  assert.deepEqual(api.asked.map((query) => query.get("limit")), ["200", "1", "1", "1"]);
});

Deno.test("pendingServingRequests() throws the errors of the API", async () => {
  const failure = new BootstrapError("unavailable/kubernetes-api", "x");
  const reading = Array.fromAsync(pendingServingRequests({ get: () => Promise.reject(failure) }));
  await assert.rejects(reading, failure);
  await assert.rejects(namesOf(apiOf([csrOf("a")], 0)), { code: "malformed/kubernetes-api" });
});

Deno.test("derOfServingRequest() reads one block of PEM with the label of requests, and nothing else", async () => {
  const [request] = await Array.fromAsync(pendingServingRequests(apiOf([csrOf("a")])));
  assert.ok(request !== undefined);
  const read = (text: string) => derOfServingRequest({ ...request, request: base64(utf8(text)) });
  const right = writePem("CERTIFICATE REQUEST", Uint8Array.of(1, 2, 3));
  assert.deepEqual(read(right), Uint8Array.of(1, 2, 3));
  for (const odd of [`x\n${right}`, right + right, "", writePem("CERTIFICATE", Uint8Array.of(1))]) {
    assert.throws(() => read(odd), { code: "malformed/pem" }, odd);
  }
  const long = { ...request, request: base64(new Uint8Array(20_000)) };
  for (const odd of [long, { ...request, request: "%" }]) {
    assert.throws(() => derOfServingRequest(odd), { code: "malformed/base64" });
  }
});

Deno.test("approveServingRequest() approves exactly the version that was listed", async () => {
  const [request] = await Array.fromAsync(pendingServingRequests(apiOf([csrOf("a")])));
  assert.ok(request !== undefined);
  const sent: unknown[] = [];
  const replace = <T>(path: string, object: unknown, schema: AnswerSchema<T>): Promise<T> => {
    sent.push(path, object);
    return validate(schema, {});
  };
  await approveServingRequest({ replace }, request, { now: () => new Date(0) });
  assert.deepEqual(sent, ["/apis/certificates.k8s.io/v1/certificatesigningrequests/a/approval", {
    ...csrOf("a"),
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    status: {
      conditions: [{
        ...{ type: "Approved", status: "True", reason: "BootstrapperAdmission" },
        message: "Requester, name and addresses belong to the admitted node",
        lastUpdateTime: "1970-01-01T00:00:00.000Z",
      }],
    },
  }]);
});
