// Package directory reads people and groups from an LDAP directory and checks their passwords. It knows OpenLDAP and
// Active Directory by presets, and other directories by free configuration.
//
// It answers who somebody is, which groups they are in and what state their account has. What follows from that
// (sessions, throttling, roles) is left to its callers. It never writes to the directory but a
// person's own password, as that person (ChangePassword). It never follows a referral,
// never keeps a password, and never takes anything but the answer to a bind with the person's own password as proof of
// who they are.
//
// Two things are never mixed up: a person who may not sign in, and a directory that could not be asked. [Error] tells
// them apart by its [Problem]; [Unavailable] alone stands for the second.
package directory
