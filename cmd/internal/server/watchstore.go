package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ssobridge/store"
)

// watchEvery is how long a program goes on over a database file that nobody will find again.
const watchEvery = time.Second

// watchStore ends the program when the file of the database was removed or replaced: what is written from then on is
// lost, and what the file says that stands there now is not known to anybody. It watches until ctx ends.
func (p *App) watchStore(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := p.Store.InPlace()
		if errors.Is(err, store.ErrMoved) {
			p.log.Error("the database file was removed or replaced while it was open: the bridge ends", "cause", err,
				"hint", "put the file back, or another one in its place by ssobridge restore; what was written since is lost")
			return fmt.Errorf("watch the database: %w", err)
		}
		if err != nil && !failing {
			p.log.Error("the database file can't be looked at", "cause", err)
		}
		failing = err != nil
	}
}

// health is what is wrong with this process: see web.Options.
func (p *App) health() (note string, err error) {
	if err := p.Store.InPlace(); err != nil {
		return "", err
	}
	if p.LogQueue == nil {
		return "", nil
	}
	if lost, now := p.LogQueue.Lost(); now {
		return fmt.Sprintf("log lines are lost, %d so far: whoever reads the log does not take them", lost), nil
	}
	return "", nil
}
