package store

import "context"

// recounting marks a context in which large numbers are counted although they are remembered.
type recounting struct{}

// Recount counts anew what the console and metrics show as large numbers: SSO users by their state, and sessions. A
// process that calls it once a minute has no request that counts more than the first countBatch rows of each.
func (db *DB) Recount(ctx context.Context) error {
	ctx = context.WithValue(ctx, recounting{}, true)
	if _, err := db.Ledger().CountByState(ctx); err != nil {
		return err
	}
	_, err := db.Sessions().Count(ctx)
	return err
}

// remembered is what a number was when it was last counted; nil: nobody knows, or it is to be counted anew.
func (db *DB) remembered(ctx context.Context, what string) any {
	if ctx.Value(recounting{}) != nil {
		return nil
	}
	return db.large.get(what)
}
