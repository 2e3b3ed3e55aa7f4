#!/bin/bash
# In front of the real kubeadm, for tests: writes down what kubeadm says of its work, and kills it with SIGKILL at chosen lines.
# A line is named by what kubeadm does, the phase that it announces ("[certs] …"), and its number among that phase's lines.
# /run/kubeadm-kill-points has the points that are left, one a line; without that file this is kubeadm.
set -u
points=/run/kubeadm-kill-points
[ -e $points ] && [ "${2-}" != phase ] && [ "$1" != config ] || exec kubeadm-real "$@"

case " $* " in
" init "*) work=init ;;
*" --skip-phases=preflight "*) work=join ;;
*control-plane-prepare*etcd-join*) work=finish ;;
*control-plane-prepare*) work=etcd ;;
*) work=prepare ;;
esac
pipe=$(mktemp -u /run/kubeadm-output-XXXXXX)
mkfifo "$pipe"
setpriv --pdeathsig KILL kubeadm-real "$@" >"$pipe" &
kubeadm=$!
declare -A lines
while IFS= read -r line; do
  printf '%s\n' "$line"
  [[ $line =~ ^\[([a-z][a-z0-9-]*)\]\ . ]] || continue
  phase=${BASH_REMATCH[1]}
  lines[$phase]=$((${lines[$phase]-0} + 1))
  point="$work $phase ${lines[$phase]}"
  if grep -qxF "$point" $points; then
    kill -KILL $kubeadm
    grep -vxF "$point" $points >$points.new
    mv $points.new $points
    echo "killed $point: $line" >>/var/log/kubeadm-lines
    break
  fi
  echo "$point: $line" >>/var/log/kubeadm-lines
done <"$pipe"
rm -f "$pipe"
wait $kubeadm
