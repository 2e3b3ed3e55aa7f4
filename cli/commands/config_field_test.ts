/**
 * Inputs that people met, with their right answers, given to `config check`. The other tests make inputs of the same kinds.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TestWorld } from "../testing/command_line.ts";

const folder = fileURLToPath(new URL("../../../shared/field/kubernetes", import.meta.url));
const isThere = await Deno.stat(folder).then(({ isDirectory }) => isDirectory, () => false);

/** What the first lines of a file say is right, as an answer of `config check`: taken, perhaps with a remark, or refused. */
const ANSWERS: Readonly<Record<string, "taken" | RegExp>> = {
  "cluster/c01-version-without-v.yaml": /:2: kubernetesVersion: .*write v1\.36\.3/,
  "cluster/c03-version-stable.yaml": /:2: kubernetesVersion: .*no version is looked up on a network/,
  "cluster/c04-version-rc.yaml": /:2: kubernetesVersion: .*only releases are supported/,
  "cluster/c05-version-old.yaml": /:2: kubernetesVersion: .*since v1\.31/,
  "cluster/c06-endpoint-without-port.yaml": /:3: controlPlaneEndpoint: the port is missing/,
  "cluster/c07-endpoint-url.yaml": /:3: controlPlaneEndpoint: leave out https:\/\//,
  "cluster/c08-endpoint-capitals.yaml": "taken",
  "cluster/c09-endpoint-bad-ip.yaml": /10\.77\.0\.256 is no IPv4 address/,
  "cluster/c11-endpoint-v6-bare.yaml": /brackets/,
  "cluster/c12-endpoint-localhost.yaml": /is each node itself/,
  "cluster/c13-endpoint-loopback.yaml": /each node would call itself/,
  "cluster/c15-endpoint-link-local.yaml": /link-local/,
  "cluster/c16-endpoint-join-port.yaml":
    /:3: remark: controlPlaneEndpoint has the port 9444, which is the join service's/,
  "cluster/c17-dual-stack.yaml": "taken",
  "cluster/c18-dual-stack-list.yaml": /:3: podSubnet: .*a comma between them/,
  "cluster/c19-subnets-overlap.yaml": /:3: podSubnet: .*overlaps serviceSubnet/,
  "cluster/c21-pod-subnet-v6-64.yaml": /each node takes a \/64 of it/,
  "cluster/c22-pod-subnet-v6-32.yaml": /at most 16 bits/,
  "cluster/c23-service-subnet-v6-64.yaml": /\/108 or longer/,
  "cluster/c24-service-subnet-8.yaml": /\/12 or longer/,
  "cluster/c25-families-mixed.yaml": /is IPv4 and serviceSubnet .* is IPv6/,
  "cluster/c26-host-bits.yaml": /the network is 10\.244\.0\.0\/16/,
  "cluster/c28-pod-subnet-everything.yaml": /is every address/,
  "cluster/c29-pod-subnet-no-length.yaml": /:3: podSubnet: the prefix length is missing, as in "10\.244\.0\.0\/16"/,
  "cluster/c30-key-pod-cidr.yaml": /:3: podCIDR: is no key here; it is podSubnet/,
  "cluster/c32-image-repository.yaml":
    /:3: imageRepository: is no key here; this is kubeadm's: write it in a ClusterConfiguration/,
  "cluster/c33-dns-domain.yaml": /:3: dnsDomain: is no key here; this is kubeadm's: write it in a ClusterConfiguration/,
  "cluster/c34-extra-args.yaml": /:3: apiServer: is no key here; this is kubeadm's: write it in a ClusterConfiguration/,
  "cluster/c36-coredns-text.yaml": /:4: coreDns: .*write false without quotes/,
  "cluster/c37-duration-go.yaml": "taken",
  "cluster/c39-kubeadm-cluster-configuration.yaml":
    /:1: this is kubeadm's document ClusterConfiguration; .*deploy\/cluster\.example\.yaml/,
  "cluster/c40-proxy-mode.yaml": /:3: proxyMode: [^]*:4: featureGates: /,
  "cluster/c42-cluster-name.yaml": /:3: nodeName: [^]*:4: clusterName: .*--name/,
  "cluster/c43-load-balancer-comes-later.yaml": "taken",
  "machine/m01-virtual-address.sh": /this is a script/,
  "node/n01-endpoint-without-port.yaml": /:11: join\.endpoints\[0\]: the port is missing: write 10\.77\.0\.11:9444/,
  "node/n02-endpoints-a-string.yaml": /write a list: - "10\.77\.0\.11:9444"/,
  "node/n03-endpoint-url.yaml": /leave out https:\/\//,
  "node/n04-endpoint-ipv6-bare.yaml": /write \[fd00:77::11\]:9444/,
  "node/n06-endpoint-underscore.yaml": /"_" is not allowed in a host name/,
  "node/n07-endpoint-trailing-dot.yaml": /leave out the final dot/,
  "node/n09-role-controlplane.yaml": /did you mean "control-plane"\?/,
  "node/n10-role-master.yaml": /"master" is none of worker, control-plane/,
  "node/n11-name-fqdn.yaml": "taken",
  "node/n13-name-number.yaml": /a number; write it in quotes/,
  "node/n14-address-cidr.yaml": /leave out the length/,
  "node/n16-address-loopback-long-form.yaml": /it is loopback/,
  "node/n18-address-dual-stack.yaml": "taken",
  "node/n19-address-list.yaml": /a comma between them/,
  "node/n21-address-subnet.yaml": /addressFrom: 10\.77\.0\.0\/24/,
  "node/n22-labels-taints.yaml": /node\.labels: [^]*kubectl label[^]*node\.taints: /,
  "node/n23-proxy.yaml": /proxy: is no key here; this program uses no proxy/,
  "node/n24-version-string.yaml": /write 1 without quotes/,
  "node/n25-version-missing.yaml": /version: is missing: write version: 1/,
  "node/n27-operator-key-rsa.yaml": /must be Ed25519/,
  "node/n28-operator-key-file.yaml": /write the key itself/,
  "node/n29-operator-key-singular.yaml": /"operatorKeys"/,
  "node/n30-cluster-name-dots.yaml": /it has dots/,
  "node/n32-variant-tpm2.yaml": /did you mean "tpm"\?/,
  "node/n33-none-without-allow.yaml": /evidence\.allowInsecure: it must be true/,
  "node/n34-yes.yaml": /write true/,
  "node/n35-listen-port-only.yaml": /HOST:PORT in quotes/,
  "node/n37-listen-v6-any.yaml": /write \[::\]:9443/,
  "node/n38-nothing-to-do.yaml": /join\.endpoints: at least one is needed/,
  "node/n39-cloud-config.yaml": /this is a cloud-config/,
  "node/n40-kubeadm-document.yaml": /this is kubeadm's document JoinConfiguration/,
  "node/n42-empty.yaml": /it is empty/,
  "node/n43-anchors.yaml": /:9: anchors and aliases are not allowed/,
  "node/n45-typos.yaml": /"address"[^]*"endpoints"/,
  "node/n46-template.yaml": /node\.name: .*not filled in[^]*endpoints\[0\]: a variable was not filled in/,
  "node/n47-bom-crlf.yaml": "taken",
};

Deno.test({
  name: isThere
    ? "config check gives every file that people met its right answer"
    : `config check gives every file its right answer -- IGNORED: there is no ${folder}`,
  ignore: !isThere,
  async fn(t) {
    const names = (await Promise.all(["cluster", "node"].map(async (part) =>
      (await Array.fromAsync(Deno.readDir(`${folder}/${part}`))).map(({ name }) =>
        `${part}/${name}`
      )
    ))).flat();
    const unanswered = names.filter((name) =>
      !(name in ANSWERS)
    );
    assert.deepEqual(unanswered, []);
    for (const [name, answer] of Object.entries(ANSWERS)) {
      await t.step(name, async () => {
        await using world = await TestWorld.create();
        const isTaken = answer === "taken" || answer.source.includes("remark");
        assert.equal(await world.run("config", "check", `${folder}/${name}`), isTaken ? 0 : 1, world.out);
        if (answer !== "taken") assert.match(world.out, answer);
      });
    }
  },
});
