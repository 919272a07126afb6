#!/bin/sh
# Stands in for the haproxy binary where Ray Serve runs on one machine (see deployments/serve.py).
# Ray's template opens the statistics and metrics pages to every network: keep them on this machine.
# And a proxy that outlives a killed Ray would hold the port for ever: let the kernel end it with its parent.
set -eu
previous=
for argument; do
    if [ "$previous" = -f ]; then
        sed -i -E "s/^( *bind )\*?:($AUDIOGRAPH_LOCAL_PORTS)$/\1127.0.0.1:\2/" "$argument"
    fi
    previous=$argument
done
exec setpriv --pdeathsig KILL "$AUDIOGRAPH_HAPROXY" "$@"
