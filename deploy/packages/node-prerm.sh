#!/bin/sh
# bootstrapper-node, before its files go. dpkg calls it with "remove" or "upgrade", rpm with 0 or 1.
set -e

case "$1" in
  remove | 0) ;;
  *) exit 0 ;;
esac

units="bootstrapper-renew.timer bootstrapper-control-plane-renew.timer bootstrapper.service bootstrapper-renew.service \
bootstrapper-control-plane-renew.service bootstrapper-join-signer.service bootstrapper-join-front.service \
bootstrapper-join-prover.service"
if [ -d /run/systemd/system ]; then
  # Not bootstrapper-measure.service: containerd and the kubelet, with all Pods, would stop with it.
  systemctl stop $units || true
fi
# No link to a unit that is not there any more stays behind.
systemctl --quiet disable $units bootstrapper-measure.service || true
exit 0
