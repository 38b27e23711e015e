// Package config is the configuration of the bridge: one documented struct, and how it is read and checked.
//
// Load reads the file, lays the environment over it, reads the files of secrets and reports every fault at once, each
// with its line. The comments of the fields are the operator's manual: a test makes docs/configuration.md and the
// commented example from them. The package opens nothing and starts nothing: what the settings mean for each room is
// handed over as that room's options. It must never print a secret.
package config
