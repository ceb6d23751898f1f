#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# doc/slurm.md on one node of Slurm's own, started on loopback below a
# temporary folder: the page's script as an array of two, and the merge.
# slurm_test.sh LODGE UNITTESTS.CFG DOC
set -eu
lodge=$(realpath "$1") cfg=$(realpath "$2") doc=$(realpath "$3")
for program in munged slurmctld slurmd sbatch; do
	command -v $program > /dev/null || {
		echo "$program is missing: install slurm-wlm"
		exit 77
	}
done
[ "$(id -u)" = 0 ] || { echo "slurmd wants to be root"; exit 77; }

dir=$(mktemp -d)
pids=
stop() {
	for pid in $pids; do
		kill "$pid" 2> /dev/null || :
	done
	wait
	rm -rf "$dir"
}
trap stop EXIT
cd "$dir"
chmod 755 .
mkdir state spool munge results
head -c 128 /dev/urandom > munge/key
chmod 400 munge/key
chown -R munge munge
node=$(hostname -s)
cat > slurm.conf << END
ClusterName=one
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc)
PartitionName=main Nodes=$node Default=YES State=UP
END
export SLURM_CONF="$dir/slurm.conf"
setpriv --reuid=munge --regid=munge --clear-groups munged --foreground \
	--key-file=munge/key --log-file=munge/log --pid-file=munge/pid \
	--seed-file=munge/seed --socket="$dir/munge/socket" &
pids="$pids $!"
slurmctld -D > slurmctld.log 2>&1 &
pids="$pids $!"
slurmd -D > slurmd.log 2>&1 &
pids="$pids $!"
n=0
until sinfo -h -o %t 2> /dev/null | grep -q idle; do
	n=$((n + 1))
	[ $n -lt 60 ] || { cat slurmctld.log slurmd.log; exit 1; }
	sleep 0.5
done

# the page's script, with fewer shards and CPUs, on a part of the suite
sed -n '/^    #!\/bin\/sh/,/^$/s/^    //p' "$doc" > page
sed -e 's/^#SBATCH --array=.*/#SBATCH --array=1-2/' \
	-e 's/^#SBATCH --cpus-per-task=.*/#SBATCH --cpus-per-task=1/' \
	-e "s|exec lodge test unittests.cfg|exec $lodge test $cfg -g real|" \
	page > suite.sbatch
grep -q "exec $lodge test $cfg" suite.sbatch
grep -q -- --shard suite.sbatch
sbatch --wait suite.sbatch || { cat results/*.txt slurmd.log; exit 1; }
tail -n 1 results/1.txt results/2.txt
"$lodge" test --merge results/1.json results/2.json > merged
want=$("$lodge" test --list "$cfg" -g real | wc -l)
got=$(tail -n 1 merged)
echo "merged: $got of $want"
[ "$got" = "$want passed, 0 failed, 0 skipped" ]
