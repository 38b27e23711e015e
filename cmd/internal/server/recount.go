package server

import (
	"context"
	"time"
)

// recountInterval is how often large numbers are counted: half of the time for which the store gives one out again.
const recountInterval = time.Minute

// recount counts the rows of large tables once a minute, beginning at once, so that no request does it.
func (p *App) recount(ctx context.Context) error {
	tick := time.NewTicker(recountInterval)
	defer tick.Stop()
	for {
		if err := p.Store.Recount(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("users and sessions were not counted; tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
