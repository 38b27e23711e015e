// Package metadata is ours and theirs: it describes this identity provider, reads what service providers publish about
// themselves, compares it with what is known of them, and keeps it fresh.
//
// A document of theirs may be a federation's with thousands of entities: it is read as a stream, within fixed bounds,
// and its signature is checked over the very tokens that are read.
//
// The package leaves to others: what a record may say beside its metadata (a Check is handed in), the keys, who may
// approve a change.
//
// It must never fetch anything that a document names, take keys or addresses of a changed document without an admin's
// approval, or accept a document whose signature was asked for and did not verify.
package metadata
