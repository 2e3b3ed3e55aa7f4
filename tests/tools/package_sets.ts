/** Debian packages that the integration tests run. */
export const integrationPackages: readonly string[] = [
  "gnutls-bin",
  "iproute2",
  "iptables",
  "swtpm",
  "swtpm-tools",
  "util-linux",
];

/** Debian packages that run the VMs. */
export const vmPackages: readonly string[] = [
  "gnutls-bin",
  "haproxy",
  "iproute2",
  "openssl",
  "ovmf",
  "qemu-system-x86",
  "qemu-utils",
  "swtpm",
  "swtpm-tools",
  "util-linux",
];
