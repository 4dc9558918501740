#!/bin/sh
# Releases an overlay: sh release.sh overlays/production [namespace]
# Migrations first; then who does the jobs, who gives them out, and the API (docs/TASKS.md, Deploys).
set -eu
overlay=$1 namespace=${2:-application}
apply() { kubectl apply -k "$overlay" -l "$1"; }
replaced() { kubectl -n "$namespace" rollout status --timeout=10m "deployment/$1"; }

kubectl -n "$namespace" delete job migrate --ignore-not-found # a Job cannot be changed
apply 'component=migrate'
kubectl -n "$namespace" wait --for=condition=complete --timeout=15m job/migrate
apply 'component notin (migrate, relay, beat, api)' # also what has no component
replaced worker
apply 'component in (relay, beat)'
replaced relay
apply 'component=api'
replaced api
