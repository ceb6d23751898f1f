#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two shards and their merge say what one run says; a run that is ended by
# SIGTERM leaves nothing running. shard_test.sh LODGE UNITTESTS.CFG
set -eu
lodge=$1 cfg=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

run() {
	"$lodge" test --retries 2 --logs "$dir/logs" "$@" "$cfg" 'real-*' \
		> "$dir/out"
}

run --json="$dir/all.json"
want=$(tail -n 1 "$dir/out")
run --shard 1/2 --json="$dir/1.json"
run --shard 2/2 --json="$dir/2.json"
run --shard 2/2 --json="$dir/2.json" # again, as after a lost node
"$lodge" test --merge --json="$dir/merged.json" "$dir/1.json" \
	"$dir/2.json" "$dir/2.json" > "$dir/out"
got=$(tail -n 1 "$dir/out")
echo "one run: $want; merged: $got"
[ "$got" = "$want" ]

names() {
	sed -n 's/.*"test": *"\(.*\)",/\1/p' "$1" | sort
}
names "$dir/all.json" > "$dir/a"
names "$dir/merged.json" > "$dir/b"
[ -s "$dir/a" ]
cmp "$dir/a" "$dir/b"

# the exit status is that of the signal, and all children are gone
cp "$cfg" "$dir"
ln -s "$(realpath "$(dirname "$cfg")")/smp.flat" "$dir"
"$lodge" test --logs "$dir/logs2" "$dir/unittests.cfg" 'smp-*' > "$dir/out" &
pid=$!
sleep 1
pgrep -f "kernel $dir/smp.flat" > /dev/null
kill -TERM $pid
status=0
wait $pid || status=$?
echo "ended by SIGTERM: $status"
[ $status = 143 ]
grep -q 'not run' "$dir/out"
if pgrep -f "kernel $dir/smp.flat" > /dev/null; then
	echo "something is left running"
	exit 1
fi
