#!/bin/sh
# bootstrapper-node, after its files are in place. It enables and starts nothing: that is the step of whoever has put the
# configuration there (docs/install.md). dpkg calls it with "configure" and the earlier version, rpm with 1 or 2.
set -e

upgrades=no
case "$1" in
  configure) [ -z "$2" ] || upgrades=yes ;;
  1) ;;
  2) upgrades=yes ;;
  *) exit 0 ;;
esac

# The users of the join service.
systemd-sysusers bootstrapper.conf

# In a chroot or an image that is being built, systemd does not run, and reads its files at the first boot.
if [ -d /run/systemd/system ]; then
  udevadm control --reload || true
  udevadm trigger --subsystem-match=tpmrm || true
  systemctl daemon-reload || true
  if [ "$upgrades" = yes ]; then
    # What runs goes on with the new program. Each of these can be stopped at any time. bootstrapper-measure.service is left
    # alone: containerd and the kubelet would stop with it, and it runs anew at the next boot.
    systemctl try-restart bootstrapper.service bootstrapper-join-signer.service || true
  fi
fi

if [ -e /etc/kubernetes/kubelet.conf ] && [ ! -e /var/lib/bootstrapper/node.lock ]; then
  echo "bootstrapper-node: this machine is a node already, and its kubelet does not start again before it is adopted:" >&2
  echo "bootstrapper-node: see \`bootstrapper adopt here --help\`. Removing this package undoes that." >&2
fi
exit 0
