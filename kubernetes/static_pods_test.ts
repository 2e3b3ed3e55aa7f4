import assert from "node:assert/strict";
import { join } from "node:path";
import { parse } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import { annotateStaticPod, awaitStaticPod, RESTART_ANNOTATION } from "./static_pods.ts";

const TIME = "2027-07-08T00:00:00.000Z";
const MANIFEST = `apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://192.0.2.1:2379
  name: etcd
spec:
  containers:
  - command: [etcd, --name=cp-1]   # one member
`;

Deno.test("annotateStaticPod() changes the annotation alone, once, and no Pod that is not there", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(join(folder, "manifests"));
  const file = join(folder, "manifests/etcd.yaml");
  await Deno.writeTextFile(file, MANIFEST);
  assert.equal(await annotateStaticPod(folder, "etcd", TIME), true);
  const before = parse(MANIFEST);
  before.metadata.annotations[RESTART_ANNOTATION] = TIME;
  assert.deepEqual(parse(await Deno.readTextFile(file)), before);
  const { ino } = await Deno.stat(file);
  assert.equal(await annotateStaticPod(folder, "etcd", TIME), true);
  assert.equal((await Deno.stat(file)).ino, ino, "it is not written again");
  assert.equal(await annotateStaticPod(folder, "kube-scheduler", TIME), false);
  for (const wrong of ["", "metadata: [", "[]", "metadata: 5"]) {
    await Deno.writeTextFile(file, wrong);
    await assert.rejects(annotateStaticPod(folder, "etcd", TIME), { code: "malformed/manifest" });
  }
  await Deno.remove(folder, { recursive: true });
});

/** What an API server says that has not read its roles yet. */
const refused = new BootstrapError("unauthorized/kubernetes-api", "forbidden");
const pod = (time: string, ready: string) => ({
  metadata: { annotations: { [RESTART_ANNOTATION]: time } },
  status: { conditions: [{ type: "Ready", status: ready }] },
});

Deno.test("awaitStaticPod() takes only the new Pod, when it is Ready, and gives up in time", async () => {
  const answers = [undefined, pod("earlier", "True"), refused, pod(TIME, "False"), pod(TIME, "True")];
  const asked: string[] = [];
  const { clock } = sleepingClock();
  const api = (next: () => unknown) => () =>
    Promise.resolve({
      find: (path: string) => {
        asked.push(path);
        const answer = next();
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer as never);
      },
      [Symbol.dispose]: () => {},
    });
  const wanted = { pod: "etcd", nodeName: "cp-1", time: TIME } as const;
  await awaitStaticPod(api(() => answers.shift()), wanted, { clock, deadlineMs: 60_000 });
  assert.deepEqual(new Set(asked), new Set(["/api/v1/namespaces/kube-system/pods/etcd-cp-1"]));
  assert.equal(asked.length, 5);
  await assert.rejects(
    awaitStaticPod(api(() => pod("earlier", "True")), wanted, { clock, deadlineMs: 60_000 }),
    { code: "timeout/static-pod", message: "The Pod etcd-cp-1 did not start anew within 60 s" },
  );
});
