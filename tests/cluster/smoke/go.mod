// The program that smoke.sh runs in pods; Go's standard library alone.
module signup.dev/tests/cluster/smoke

go 1.26.0
