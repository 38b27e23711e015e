#!/bin/sh
# Starts slapd with the sample data. RUN, PKI, SAMPLE and LISTEN can be set to try it outside a container.
set -eu
here=$(dirname "$0")
run=${RUN:-/var/lib/directory}
pki=${PKI:-/pki}
sample=${SAMPLE:-/etc/openldap/sample.ldif}
listen=${LISTEN:-ldaps://0.0.0.0:1636}
PATH="$PATH:/usr/sbin"

if [ ! -e "$pki/ca.crt" ]; then
	umask 077
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=compose directory authority" \
		-addext keyUsage=critical,keyCertSign -keyout "$run/ca.key" -out "$run/ca.crt" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=openldap" -keyout "$pki/server.key" -out "$run/server.csr" 2>/dev/null
	printf 'subjectAltName=DNS:openldap,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' > "$run/extensions"
	openssl x509 -req -in "$run/server.csr" -CA "$run/ca.crt" -CAkey "$run/ca.key" -CAcreateserial -days 3650 \
		-extfile "$run/extensions" -out "$pki/server.crt" 2>/dev/null
	rm "$run/ca.key"
	chmod 644 "$run/ca.crt" "$pki/server.crt"
	# Last: whoever waits for it finds the rest complete.
	mv "$run/ca.crt" "$pki/ca.crt"
fi

rm -f "$run/ready" "$run/ldapi"
mkdir -p "$run/data"
sed -e "s|@RUN@|$run|g" -e "s|@PKI@|$pki|g" "$here/slapd.conf" > "$run/slapd.conf"
socket="ldapi://$(printf %s "$run/ldapi" | sed 's|/|%2F|g')"
slapd -d 0 -f "$run/slapd.conf" -h "$listen $socket" &
slapd=$!
trap 'rm -f "$run/ready"; kill $slapd; wait $slapd; exit 0' TERM INT

# memberOf is only filled while the server runs, so the data come in by LDAP, once: the
# bridge knows people by their entryUUID, which a second load would change.
tries=0
until [ -e "$run/filled" ] ||
	ldapadd -x -H "$socket" -D cn=admin,dc=example,dc=test -w loaded-by-start.sh-over-the-socket -f "$sample" >/dev/null 2>"$run/load.log"; do
	tries=$((tries + 1))
	if [ $tries -ge 50 ]; then
		cat "$run/load.log" >&2
		kill $slapd
		exit 1
	fi
	sleep 0.1
done
: > "$run/filled"
: > "$run/ready"
wait $slapd
