#!/bin/sh
# step.sh NAME COMMAND...: runs a command and says how long it took.
name=$1
shift
echo "== $name"
start=$(date +%s)
"$@"
status=$?
seconds=$(($(date +%s) - start))
if [ $status = 0 ]; then
	echo "== $name: ok, $seconds s"
else
	echo "== $name: FAILED with status $status after $seconds s" >&2
fi
exit $status
