package store

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
)

// spanner is Options.Span.
type spanner func(ctx context.Context, name string) (context.Context, func(of, result string, err error))

// The names of spans. The last one is for statements that are sent together. A statement's span ends when the database
// has answered it; the rows of a list may be read after that.
const (
	spanTransaction = "store.transaction"
	spanStatement   = "store.statement"
	spanStatements  = "store.statements"
)

func (s spanner) begin(ctx context.Context, name string) (context.Context, func(of, result string, err error)) {
	if s == nil {
		return ctx, nil
	}
	return s(ctx, name)
}

// failure leaves out the answer that there is no such row.
func failure(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// statementName is the exported method that a statement stands in, such as Sessions.Get. It is looked up on the stack,
// where a span is recorded: no statement has to be given a name by hand, and none can be named by what it is about.
func statementName() string {
	var stack [32]uintptr
	frames := runtime.CallersFrames(stack[:runtime.Callers(3, stack[:])])
	for {
		frame, more := frames.Next()
		if name := methodName(frame.Function); name != "" {
			return name
		}
		if !more {
			return "other"
		}
	}
}

// methodName is Type.Method of a function of this package such as ssobridge/store.(*Sessions).Get.func1; "" for what is
// no exported method.
func methodName(function string) string {
	_, name, ours := strings.Cut(function, "/store.(*")
	if !ours {
		return ""
	}
	kind, method, found := strings.Cut(name, ").")
	method, _, _ = strings.Cut(method, ".")
	if !found || !exported(kind) || !exported(method) {
		return ""
	}
	return kind + "." + method
}

func exported(name string) bool { return name != "" && name[0] >= 'A' && name[0] <= 'Z' }
