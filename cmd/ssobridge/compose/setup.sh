#!/bin/sh
# Sets the bridge of docker-compose.yml up, once: what is there already stays.
set -eu
if [ ! -e /var/lib/ssobridge/set-up ]; then
	ssobridge init --key-only --create --algorithm rsa-2048
	ssobridge sp add-constant-contact \
		--entity-id http://127.0.0.1:8090/sso/metadata --acs http://127.0.0.1:8090/sso/saml2 \
		--relay-state http://127.0.0.1:8090/landing --name "Constant Contact (sandbox)"
	ssobridge mapping add --group-pattern "ctct-{account}-{role}" --group-base ou=groups,dc=example,dc=test
	: > /var/lib/ssobridge/set-up
fi
ssobridge metadata > /metadata/idp.xml
