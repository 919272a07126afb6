#!/bin/sh
# Stands in for the haproxy binary where Ray Serve runs on one machine (see deployments/serve/__main__.py).
# Ray's template opens the statistics and metrics pages to every network: keep them on this machine.
# With its splice-request HAProxy does not notice that a client is gone whose body came after its headers (2.8),
# so that whatever it waited for would go on.
# And a proxy that outlives a killed Ray would hold the port for ever: let the kernel end it with its parent.
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
