#!/bin/sh
# bootstrapper-node, after its files went. dpkg calls it with "remove", "purge" or "upgrade", rpm with 0 or 1. No call of it
# deletes state: a node lock that is lost cannot be made again, and keys are deleted by a person or by `bootstrapper reset`.
set -e

case "$1" in
  remove | purge | 0) ;;
  *) exit 0 ;;
esac

[ ! -d /run/systemd/system ] || systemctl daemon-reload || true

for folder in /var/lib/bootstrapper /etc/bootstrapper; do
  if [ -d "$folder" ] && [ -n "$(ls -A "$folder")" ]; then
    echo "bootstrapper-node: $folder stays, with all that is in it. Delete it yourself if this machine is no node any more." >&2
  fi
done
if [ -e /var/lib/bootstrapper/member ] && [ "$1" != purge ]; then
  echo "bootstrapper-node: this machine is a member of a cluster; nothing renews its certificates from now on." >&2
fi
exit 0
