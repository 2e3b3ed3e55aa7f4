/** Debian packages that build the parts of the VM image, and the parts of the tests that are not Go programs. */
export const buildPackages: readonly string[] = [
  "binutils",
  "cpio",
  "cryptsetup-bin",
  "e2fsprogs",
  "gcc",
  "libc6-dev",
  "libseccomp-dev",
  "mmdebstrap",
  "pkg-config",
  "systemd-boot-efi",
  "xz-utils",
];

/** Debian packages that the integration tests run. */
export const integrationPackages: readonly string[] = [
  "bash-completion",
  "binutils",
  "fish",
  "gnutls-bin",
  "iproute2",
  "iptables",
  "lintian",
  "man-db",
  "mandoc",
  "openssl",
  "python3-venv",
  "rpm",
  "sbsigntool",
  "skopeo",
  "swtpm",
  "swtpm-tools",
  "systemd",
  "systemd-boot-efi",
  "util-linux",
  "zsh",
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
