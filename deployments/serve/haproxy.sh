#!/bin/sh
# Replaces the haproxy binary where Ray Serve runs on one machine (see deployments/serve/__main__.py).
# Ray's template opens the statistics and metrics pages to every network: keep them on this machine.
# Its splice-request keeps HAProxy 2.8 from noticing the disconnect of a client whose body followed its headers, so
# that the client's work would continue.
# A proxy that outlives a killed Ray would hold the port for ever: let the kernel end it with its parent.
set -eu
previous=
for argument; do
    if [ "$previous" = -f ]; then
        sed -i -E -e "s/^( *bind )\*?:($AUDIOGRAPH_LOCAL_PORTS)$/\1127.0.0.1:\2/" \
            -e '/^ *option splice-request$/d' "$argument"
    fi
    previous=$argument
done
exec setpriv --pdeathsig KILL "$AUDIOGRAPH_HAPROXY" "$@"
