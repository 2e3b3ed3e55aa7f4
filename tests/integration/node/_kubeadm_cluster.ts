/** A cluster that plain kubeadm makes, with its defaults: a CA of RSA, bootstrap tokens, a signer of kubelets' certificates. */
import { stringify } from "yaml";
import type { RunMachine } from "./run_machine.ts";

const CRI_SOCKET = "unix:///run/containerd/containerd.sock";
const API = "kubeadm.k8s.io/v1beta4";
const DOCUMENT = "/etc/bootstrapper/kubeadm.yaml";
/** What a namespace lacks of a machine, and what runs as a container. */
const SKIPPED = "--skip-phases=preflight,addon,upload-certs,show-join-command";
const DEADLINE_MS = 300_000;

/**
 * What a kubelet does when it has a bootstrap kubeconfig: it asks the cluster for a certificate, and writes its own
 * kubeconfig. The stand-in for the kubelet asks for none.
 */
const KUBELET_BOOTSTRAP = `
name=$1
conf=/etc/kubernetes/bootstrap-kubelet.conf
until [ -s $conf ]; do sleep 0.1; done
pki=/var/lib/kubelet/pki
mkdir -p $pki
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $pki/new.key \\
  -subj "/O=system:nodes/CN=system:node:$name" -out $pki/new.csr 2>/dev/null
kubectl --kubeconfig=$conf create -f - <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: csr-$name }
spec:
  signerName: kubernetes.io/kube-apiserver-client-kubelet
  usages: [digital signature, client auth]
  request: $(base64 -w0 <$pki/new.csr)
END
until certificate=$(kubectl --kubeconfig=$conf get csr csr-$name -o 'jsonpath={.status.certificate}') &&
  [ -n "$certificate" ]; do sleep 0.2; done
printf %s "$certificate" | base64 -d >$pki/kubelet-client-current.pem
cat $pki/new.key >>$pki/kubelet-client-current.pem
server=$(sed -n 's/^ *server: //p' $conf)
ca=$(sed -n 's/^ *certificate-authority-data: //p' $conf)
cat >/etc/kubernetes/kubelet.conf.new <<END
apiVersion: v1
kind: Config
clusters: [{ name: default, cluster: { server: "$server", certificate-authority-data: $ca } }]
users: [{ name: default, user: { client-certificate: $pki/kubelet-client-current.pem, client-key: $pki/kubelet-client-current.pem } }]
contexts: [{ name: default, context: { cluster: default, user: default } }]
current-context: default
END
mv /etc/kubernetes/kubelet.conf.new /etc/kubernetes/kubelet.conf
`;

function registration({ node: { name, ip } }: RunMachine): Readonly<Record<string, unknown>> {
  const kubeletExtraArgs = [{ name: "node-ip", value: ip }, { name: "hostname-override", value: name }];
  return { name, criSocket: CRI_SOCKET, kubeletExtraArgs };
}

async function run(machine: RunMachine, argv: readonly [string, ...string[]], log: string): Promise<string> {
  const { code, output } = await machine.node.run(argv, { log, deadlineMs: DEADLINE_MS });
  if (code !== 0) throw new Error(`${argv.join(" ")} failed on ${machine.node.name}: ${output}`);
  return output;
}

/** Runs \`kubeadm init\` on a machine, with kubeadm's defaults. */
export async function kubeadmInit(machine: RunMachine): Promise<void> {
  const { node } = machine;
  const documents = [
    {
      apiVersion: API,
      kind: "InitConfiguration",
      nodeRegistration: registration(machine),
      localAPIEndpoint: { advertiseAddress: node.ip, bindPort: 6443 },
    },
    {
      apiVersion: API,
      kind: "ClusterConfiguration",
      kubernetesVersion: "v1.36.3",
      networking: { podSubnet: "10.244.0.0/16" },
      dns: { disabled: true },
      proxy: { disabled: true },
    },
  ];
  await node.write(DOCUMENT, documents.map((one) => stringify(one)).join("---\n"));
  await machine.systemctl("start", "kubelet");
  await run(machine, ["kubeadm", "init", SKIPPED, `--config=${DOCUMENT}`], "kubeadm-init");
}

/** Joins a worker with a bootstrap token. */
export async function kubeadmJoin(controlPlane: RunMachine, worker: RunMachine): Promise<void> {
  const token = (await run(controlPlane, ["kubeadm", "token", "create"], "token")).trim().split("\n").at(-1) ?? "";
  await worker.node.write(
    DOCUMENT,
    stringify({
      apiVersion: API,
      kind: "JoinConfiguration",
      discovery: {
        bootstrapToken: { token, apiServerEndpoint: `${controlPlane.node.ip}:6443`, unsafeSkipCAVerification: true },
      },
      nodeRegistration: registration(worker),
    }),
  );
  await worker.systemctl("start", "kubelet");
  const { name } = worker.node;
  const bootstrap = worker.node.run(["sh", "-euc", KUBELET_BOOTSTRAP, "sh", name], { log: "kubelet-bootstrap" });
  await run(worker, ["kubeadm", "join", "--skip-phases=preflight", `--config=${DOCUMENT}`], "kubeadm-join");
  const { code, output } = await bootstrap;
  if (code !== 0) throw new Error(`${name} got no certificate: ${output}`);
}
