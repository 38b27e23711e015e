package cli

import "ssobridge/web/admin"

// ActHint is how an act is done by command.
func ActHint(act admin.Act, about string) string { return actHint(act, about) }

// ActHints counts the acts that are known.
func ActHints() int { return len(actHints) }
