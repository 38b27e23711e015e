// Package mapping holds the rules by which an administrator gives people client accounts and roles: what a mapping may
// say, what a set of mappings gives one person, which mappings cannot stand beside each other, and how sets are written
// in files. The templates of a user's names are here too.
//
// Everything is computed from values: mappings and client accounts as store has them, a person as idp/directory read
// them. The package reads no database, asks no directory and keeps no clock. Package provisioning does that, and
// decides by these rules.
package mapping
