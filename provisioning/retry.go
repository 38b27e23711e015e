package provisioning

import "time"

// When what failed is tried again.
const (
	longestRetry = 60 * time.Second // between attempts that failed in passing
	// A row that gets no clear answer again and again, while others do, is at fault itself. Each attempt takes a call of
	// the day.
	manyFailures    = 8
	manyRetry       = 5 * time.Minute
	tooManyFailures = 12
	tooManyRetry    = time.Hour
	// What is no fault of the row brings its back-off to longestRetry, and no further.
	passingFailures = manyFailures - 1
	// A person who waits gets the next attempt of a row at fault earlier, yet not whenever the page asks: somebody
	// whose data make Constant Contact fail must not use up the calls of the day by waiting. For fewer failures the
	// ledger's own pause is enough.
	manyPresent    = time.Minute
	tooManyPresent = 5 * time.Minute
)

// backoff is 1, 2, 4 … 60 seconds after so many failures, and much longer after many, spread. With an outage it stays
// at 60 seconds: it is no fault of the row, and when the breaker closes all are soon due.
func (s *Service) backoff(failures int, outage bool) time.Duration {
	d := longestRetry
	switch {
	case failures < passingFailures:
		d = min(d, time.Second<<max(failures-1, 0))
	case outage:
	case failures >= tooManyFailures:
		d = tooManyRetry
	case failures >= manyFailures:
		d = manyRetry
	}
	return s.spread(d)
}

// throttledPause is a second at first, since Constant Contact's own limit is one of a second, and then grows: a gateway
// that throttles does so for as long as it likes.
func throttledPause(inARow int) time.Duration {
	const inPassing = 3
	if inARow > inPassing+6 {
		return longestRetry
	}
	return min(longestRetry, time.Second<<max(0, inARow-inPassing))
}

// present is how long a person who waits has to, where backoff is longer.
func (s *Service) present(failures int, outage bool) time.Duration {
	switch {
	case outage || failures < manyFailures:
		return 0 // the ledger's least pause holds
	case failures < tooManyFailures:
		return s.spread(manyPresent)
	}
	return s.spread(tooManyPresent)
}

// spread adds up to a quarter, so that what failed together does not come again together.
func (s *Service) spread(d time.Duration) time.Duration {
	return d + time.Duration(s.random()*float64(d)/4)
}
