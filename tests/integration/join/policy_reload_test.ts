/**
 * The policy of a running cluster: the operator changes it in the ConfigMap, it takes effect without a restart, and new
 * members receive it.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { POLICY_CONFIG_MAP, POLICY_KEY, POLICY_NAMESPACE } from "../../../kubernetes/policy_config_map.ts";
import { systemClock } from "../../../platform/clock.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { startSwtpm, type Swtpm } from "../../swtpm.ts";
import { swtpmTest } from "../attacks/attacks.ts";
import type { RunMachine } from "../node/run_machine.ts";
import { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";
import { PATIENCE_MS, type PrintedEvent } from "../node/run_process.ts";

const SERVICE_LOG = "/var/log/bootstrapper-join-signer.log";
const CONFIG_MAPS = `/api/v1/namespaces/${POLICY_NAMESPACE}/configmaps`;
const configMapSchema = v.object({ data: v.record(v.string(), v.string()) });
const stateSchema = v.object({ policyDocument: v.string() });
const rights = v.object({ status: v.object({ allowed: v.boolean() }) });

await swtpmTest("the policy of a running cluster is its ConfigMap, and changes without a restart", async (t) => {
  await using world = await RunWorld.create();
  await using firstTpm = await startSwtpm();
  await using secondTpm = await startSwtpm();
  await using thirdTpm = await startSwtpm();
  await using fourthTpm = await startSwtpm();
  const tpms = [firstTpm, secondTpm, thirdTpm, fourthTpm];
  const [first, second, third, fourth] = await Promise.all(tpms.map(identityOf));
  assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined);
  const founding = policyOf(first);
  const operator = await RunOperator.create(world, founding);
  const step = async (name: string, work: () => Promise<void>) => {
    if (!await t.step(name, work)) throw new Error(`Cannot go on after "${name}"; logs are in ${world.world.logs}`);
  };
  const founder = await world.machine("cp-1", operator.publicKey, { init: true, tpm: firstTpm.socketPath });
  const joiner = await world.machine("cp-2", operator.publicKey, {
    ...{ init: false, joinAt: ["cp-1"], role: "control-plane", tpm: secondTpm.socketPath },
  });
  const late = await world.machine("worker-1", operator.publicKey, {
    ...{ init: false, joinAt: ["cp-2"], tpm: thirdTpm.socketPath },
  });
  const later = await world.machine("worker-2", operator.publicKey, {
    ...{ init: false, joinAt: ["cp-2"], tpm: fourthTpm.socketPath },
  });
  let api: KubernetesApi | undefined;
  const change = (data: Readonly<Record<string, string>>) =>
    required(api).merge(`${CONFIG_MAPS}/${POLICY_CONFIG_MAP}`, { data }, v.unknown());

  await step("init makes the ConfigMap from the operator's policy", async () => {
    const running = founder.start();
    await running.event({ event: "init-server-listening" });
    const init = operator.init(founder);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
    api = new KubernetesApi(await readKubeconfig(founder.node.path("/etc/kubernetes/admin.conf")));
    const { data } = await api.get(`${CONFIG_MAPS}/${POLICY_CONFIG_MAP}`, configMapSchema);
    assert.deepEqual(data, { [POLICY_KEY]: founding });
  });

  await step("a join service may read that ConfigMap, and nothing else there", async () => {
    const may = (verb: string, name: string) => mayJoinService(required(api), verb, name);
    assert.equal(await may("get", POLICY_CONFIG_MAP), true);
    for (const verb of ["create", "update", "patch", "delete", "list"]) {
      assert.equal(await may(verb, POLICY_CONFIG_MAP), false, verb);
    }
    assert.equal(await may("get", "kubeadm-config"), false);
  });

  const joining = joiner.start();
  /** Waits for a refusal in the joining node's status that is newer than the given one. */
  const refusalAfter = (time: string) =>
    waitUntil({ what: "a newer refusal in the status", deadlineMs: PATIENCE_MS, everyMs: 50 }, async () => {
      const { lastRefusal } = JSON.parse(await joiner.file("/var/lib/bootstrapper/status.json") ?? "{}");
      return lastRefusal !== undefined && lastRefusal.time > time ? lastRefusal : undefined;
    });
  await step(
    "a machine that the policy does not list hears the code alone, and the service's log shows it",
    async () => {
      await joining.event({ event: "join-endpoint-refused", code: "refused/ek-identity" });
      const { code, checks = [] } = await refusalAfter("");
      assert.deepEqual([code, checks], ["refused/ek-identity", []]);
      assert.equal((await serviceEvent(founder, { event: "join-refused" }))["seen"], second);
    },
  );

  await step("a broken version is refused with a log entry, and the previous one stays in force", async () => {
    await change({ [POLICY_KEY]: policyOf(first, second).replace("ekType", "ekTyp") });
    const refused = await serviceEvent(founder, { event: "policy-refused" });
    assert.deepEqual([refused["level"], refused["code"], refused["source"]], ["error", "usage/document", "ConfigMap"]);
    assert.match(String(refused["message"]), /tpm\.ekTyp/);
    assert.equal((await refusalAfter(new Date().toISOString())).code, "refused/ek-identity");
    assert.equal((await serviceEvents(founder)).filter(({ event }) => event === "policy-refused").length, 1);
  });

  const changed = policyOf(first, second);
  await step(
    "a good version takes effect at once: the refused machine joins, and no service is restarted",
    async () => {
      await change({ [POLICY_KEY]: changed });
      const said = await serviceEvent(founder, { event: "policy-changed" });
      assert.deepEqual(said["changes"], ["tpm.trust.identities", "roles.controlPlanes"]);
      assert.equal(await joining.exitCode(), 0, await joining.output());
      const events = await serviceEvents(founder);
      assert.equal(events.filter(({ event }) => event === "join-signer-started").length, 1);
      assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/cp-2"]);
    },
  );

  await step(
    "the new member's service starts with the policy in force, and follows the ConfigMap too",
    async () => {
      const path = "/var/lib/bootstrapper/join-service/state.json";
      const { policyDocument } = v.parse(stateSchema, JSON.parse(await joiner.text(path)));
      assert.equal(policyDocument, changed);
      await serviceEvent(joiner, { event: "join-signer-started" });
      await change({ [POLICY_KEY]: policyOf(first, second, third, fourth) });
      await serviceEvent(joiner, { event: "policy-changed" });
      const running = late.start();
      assert.equal(await running.exitCode(), 0, await running.output());
      assert.equal((await serviceEvents(joiner)).filter(({ event }) => event === "join-ticket-issued").length, 1);
    },
  );

  await step("without its ConfigMap a service that was started again issues nothing, and then goes on", async () => {
    const newest = await required(api).get(`${CONFIG_MAPS}/${POLICY_CONFIG_MAP}`, configMapSchema);
    await required(api).remove(`${CONFIG_MAPS}/${POLICY_CONFIG_MAP}`);
    await joiner.systemctl("restart", "bootstrapper-join-signer");
    const running = later.start();
    await running.event({ event: "join-endpoint-refused", code: "unavailable/policy" });
    const refusals = (await serviceEvents(joiner)).filter(({ code }) => code === "precondition/policy-config-map");
    assert.deepEqual(refusals.map(({ level }) => level).slice(-1), ["error"]);
    const metadata = { name: POLICY_CONFIG_MAP, namespace: POLICY_NAMESPACE };
    const restored = { apiVersion: "v1", kind: "ConfigMap", metadata, data: newest.data };
    await required(api).create(CONFIG_MAPS, restored, v.unknown());
    assert.equal(await running.exitCode(), 0, await running.output());
  });

  await step("no ConfigMap makes a running service insecure", async () => {
    await change({ [POLICY_KEY]: "version: 1\nvariant: none\n" });
    const refused = await serviceEvent(joiner, { event: "policy-refused", code: "refused/policy-variant" });
    assert.match(String(refused["message"]), /cannot be made insecure/);
  });
  api?.[Symbol.dispose]();
});

function required<T>(value: T | undefined): T {
  return value ?? assert.fail("the cluster is not there");
}

/** Asks the API server what the join services' user may do with a ConfigMap. */
async function mayJoinService(api: KubernetesApi, verb: string, name: string): Promise<boolean> {
  const review = {
    spec: {
      user: "bootstrapper:signer:cp-1",
      groups: ["bootstrapper:signers", "system:authenticated"],
      resourceAttributes: { namespace: POLICY_NAMESPACE, resource: "configmaps", verb, name },
    },
  };
  const { status } = await api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review, rights);
  return status.allowed;
}

async function serviceEvents(machine: RunMachine): Promise<PrintedEvent[]> {
  const text = await machine.text(SERVICE_LOG).catch(() => "");
  return text.split("\n").slice(0, -1).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

async function serviceEvent(
  machine: RunMachine,
  { event, code }: { readonly event: string; readonly code?: string },
): Promise<PrintedEvent> {
  const what = `event ${event} of the join service on ${machine.node.name}`;
  return await waitUntil(
    { what, deadlineMs: PATIENCE_MS, everyMs: 50 },
    async () => {
      const isIt = (one: PrintedEvent) => one["event"] === event && (code === undefined || one["code"] === code);
      return (await serviceEvents(machine)).find(isIt);
    },
  );
}

async function identityOf(tpm: Swtpm): Promise<string> {
  const transport = await tpm.connect();
  try {
    return await createTpmIssuer(transport, "rsa2048", systemClock).ownIdentity("");
  } finally {
    transport.close();
  }
}

/** A policy that lets these machines become control planes. JSON is YAML. */
function policyOf(...identities: readonly string[]): string {
  return JSON.stringify({
    version: 1,
    variant: "tpm",
    allowUnmeasuredImage: true,
    tpm: { ekType: "rsa2048", pcrs: { 0: ["0".repeat(64)] }, trust: { identities } },
    roles: { controlPlanes: identities },
  });
}
