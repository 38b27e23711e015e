// Package cli is the command line of ssobridge: the commands with their flags, what they print, and their exit codes.
//
// It is shared by cmd/ssobridge and cmd/demo. A command turns its flags into one call of the rooms below, and what
// comes back into text or JSON; errors get a hint with the next step, and their exit code in one place. It is the only
// home of the command-line parser and of tables. It must never link what is pretended (the sandbox, the sample
// directory).
package cli
