#!/usr/bin/env bash
# A lane on mock devices: a customer pays what was printed; without paper nothing is presented.
set -euo pipefail
unset "${!SCO_@}" # a lane's settings in this shell's environment would override the bench's
work=$(mktemp -d)
sco-sim serve --settings-out "$work/lane.toml" > "$work/bench.json" &
bench=$!
trap 'kill $bench; wait $bench || true; rm -rf "$work"' EXIT

for _ in $(seq 300); do [ -s "$work/bench.json" ] && break; kill -0 $bench; sleep 0.1; done
url=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])' < "$work/bench.json")
ask() { curl -sSf -X "$1" -H 'Content-Type: application/json' "$url$2" ${3:+-d "$3"}; echo; }

echo "1. A customer takes the code from the paper and pays"
ask POST /customers '{"does": "pays", "place": "paper", "after_s": 1}'
SCO_DISPLAY_MODE=0 sco-pay pay --settings "$work/lane.toml" --order 1 253.00
ask GET '/customers/1?wait_s=10' | grep -q '"state":"done"'

echo "2. Without paper nothing is presented, and the bank has nothing to be paid"
ask POST /reset
ask PUT /faults/printer.paper-out
status=0
SCO_DISPLAY_MODE=0 sco-pay pay --settings "$work/lane.toml" --order 2 253.00 || status=$?
[ $status = 5 ] || { echo "status $status instead of 5"; exit 1; }
! ask GET /state | grep -q '"status":"Confirmation"' || { echo "a payment is still open"; exit 1; }
echo "passed"
