#!/bin/sh
# A stand-in for systemctl, for tests without VMs: it is no systemd, and proves nothing about units.
# A unit NAME is the program /etc/bootstrapper/units/NAME; it is not started again when it ends. To stop it is kill -9
# for it and all that it started.
set -eu
verb=$1
shift
pids=/run/systemctl-stand-in
mkdir -p $pids
units=
now=
for argument; do
  case $argument in
  --now) now=yes ;;
  -*) ;;
  bootstrapper-join-signer*)
    # What it Wants, and what is PartOf it. Where there is no TPM, there is no such unit here.
    units="$units bootstrapper-join-signer"
    [ ! -x /etc/bootstrapper/units/bootstrapper-join-prover ] || units="$units bootstrapper-join-prover"
    ;;
  *) units="$units ${argument%.service}" ;;
  esac
done

active() { [ -s "$pids/$unit" ] && kill -0 "-$(cat "$pids/$unit")" 2>/dev/null; }

# The program writes its own process ID: a kill in the middle of this never leaves a running program that is not known here.
start() {
  active && return
  rm -f "$pids/$unit"
  setsid sh -euc 'echo $$ >"$1.new"; mv "$1.new" "$1"; exec "$2"' sh "$pids/$unit" "$program" \
    >>"/var/log/$unit.log" 2>&1 </dev/null &
  started=$!
  while kill -0 $started 2>/dev/null && [ ! -e "$pids/$unit" ]; do sleep 0.02; done
}

stop() {
  while active; do
    kill -KILL "-$(cat "$pids/$unit")" 2>/dev/null || true
    sleep 0.02
  done
}

case $verb in
daemon-reload) exit 0 ;;
esac
for unit in $units; do
  program=/etc/bootstrapper/units/$unit
  [ -x "$program" ] || { echo "Loaded: not-found ($unit)"; exit 4; }
  case $verb in
  start) start ;;
  enable) [ -z "$now" ] || start ;;
  stop) stop ;;
  disable) [ -z "$now" ] || stop ;;
  restart) stop && start ;;
  status) echo "Loaded: loaded ($program)" ;;
  is-enabled) echo enabled ;;
  is-active) active || exit 3 ;;
  *) echo "The stand-in for systemctl does not know \"$verb\"" >&2 && exit 1 ;;
  esac
done
