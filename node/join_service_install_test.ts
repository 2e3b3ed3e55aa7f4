import assert from "node:assert/strict";
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { createCertificateAuthority, issueClientCertificate, issueServiceCertificate } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { signerSubject } from "../certificate/subjects.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { CommandRunner } from "../platform/command.ts";
import { hex } from "../platform/bytes.ts";
import { createFounding } from "../protocol/founding.ts";
import type { ServiceState } from "../service/service_state.ts";
import { readServiceState, SERVICE_KEY_FILE, writeServiceState } from "../service/service_state.ts";
import { upgradeJoinService } from "./join_service_install.ts";

/** The subject of all join services in clusters of versions with one unit for the join service. */
const EARLIER_SUBJECT = [
  { oid: "2.5.4.10", value: "bootstrapper:join-services" },
  { oid: "2.5.4.3", value: "bootstrapper:join-service" },
];
const HOUR_MS = 3_600_000;

/** A control plane's join service in a temporary folder, with the certificate that a function issues. */
class InstalledService implements AsyncDisposable {
  readonly ran: string[] = [];

  private constructor(
    readonly folder: string,
    readonly ca: CertificateAuthority,
    readonly before: ServiceState,
  ) {}

  static async create(
    issue: (ca: CertificateAuthority, spki: Uint8Array, now: Date) => Promise<Certificate>,
  ): Promise<InstalledService> {
    const now = new Date();
    const ca = await createCertificateAuthority(now);
    const clusterId = await clusterIdOf(ca.certificate);
    const [operator, keys] = [await generateKeyPair("ed25519"), await generateKeyPair("p-256")];
    const before: ServiceState = {
      keys,
      certificate: (await issue(ca, keys.spki, now)).der,
      caCertificate: ca.certificate.der,
      foundings: [await createFounding(operator, clusterId, "test")],
      trust: { clusterName: "test", clusterId, operatorKeys: [operator.spki] },
      policyDocument: "version: 1\nvariant: none\n",
      clusterDocument: "kubernetesVersion: v1.36.3\n",
      listen: "192.0.2.1:9444",
      apiServer: "https://192.0.2.1:6443",
      apiEndpoints: ["192.0.2.1:6443"],
      joinEndpoints: ["192.0.2.1:9444"],
    };
    const folder = join(await Deno.makeTempDir(), "join-service");
    await writeServiceState(folder, before);
    return new InstalledService(folder, ca, before);
  }

  upgrade(readCa = () => Promise.resolve(this.ca)): Promise<boolean> {
    const commands: CommandRunner = {
      run: (argv) => {
        this.ran.push(argv.join(" "));
        return Promise.resolve({ code: 0, stdout: "", stderr: "" });
      },
    };
    const clock = { now: () => new Date() };
    return upgradeJoinService({ folder: this.folder, nodeName: "cp-1", clock, commands }, readCa);
  }

  read(): Promise<ServiceState> {
    return readServiceState(this.folder, new Date());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(join(this.folder, ".."), { recursive: true });
  }
}

const earlier = (ca: CertificateAuthority, spki: Uint8Array, now: Date) =>
  issueClientCertificate(ca, { spki, subject: EARLIER_SUBJECT, lifetimeMs: HOUR_MS }, now);
const ofToday = (ca: CertificateAuthority, spki: Uint8Array, now: Date) =>
  issueServiceCertificate(ca, "cp-1", spki, now);
const RESTART = "systemctl restart --no-block bootstrapper-join-signer.service bootstrapper-join-front.service";

Deno.test("upgradeJoinService() gives a service of an earlier version a new key and certificate, and keeps the rest", async () => {
  await using service = await InstalledService.create(earlier);
  await assert.rejects(service.read(), { code: "refused/certificate-subject" });
  await Deno.remove(join(service.folder, "listen"));
  assert.equal(await service.upgrade(), true);
  const { keys, certificate, ...rest } = await service.read();
  const { keys: keysBefore, certificate: _, ...restBefore } = service.before;
  assert.deepEqual(rest, { ...restBefore, apiServer: "https://127.0.0.1:6443" });
  assert.equal(await Deno.readTextFile(join(service.folder, "listen")), "192.0.2.1:9444\n");
  assert.notEqual(hex(keys.spki), hex(keysBefore.spki));
  assert.deepEqual(readCertificate(certificate, "certificate").subject.attributes, signerSubject("cp-1"));
  assert.deepEqual(service.ran, [RESTART]);
  assert.equal(await service.upgrade(), false);
  assert.deepEqual(service.ran, [RESTART]);
});

Deno.test("upgradeJoinService() goes on where it was killed after the new key", async () => {
  await using service = await InstalledService.create(earlier);
  const keyPath = join(service.folder, SERVICE_KEY_FILE);
  const documentPath = join(service.folder, "state.json");
  const document = await Deno.readTextFile(documentPath);
  await service.upgrade();
  await Deno.writeTextFile(documentPath, document);
  const key = await Deno.readTextFile(keyPath);
  assert.equal(await service.upgrade(), true);
  assert.notEqual(await Deno.readTextFile(keyPath), key);
  await service.read();
});

Deno.test("upgradeJoinService() reads no CA for a service of today, and does nothing where there is none", async () => {
  await using service = await InstalledService.create(ofToday);
  const noCa = () => assert.fail("the CA is not needed");
  assert.equal(await service.upgrade(noCa), false);
  await Deno.remove(service.folder, { recursive: true });
  assert.equal(await service.upgrade(noCa), false);
  assert.deepEqual(service.ran, []);
});
