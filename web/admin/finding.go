package admin

// Level is how serious a Finding is.
type Level int

// The levels.
const (
	OK      Level = iota
	Warning       // somebody should look at it
	Failure       // something does not work
)

// Finding is what was found where something was looked at.
type Finding struct {
	Name   string // of what was looked at
	Level  Level
	Detail string // what was found, in a sentence without its full stop; "" where the name says it
	Hint   string // what to do, the same for every face; "": Act says it
	Act    Act
	About  string // what the act is about
}

// found makes the Finding of an error: its fault is the detail, and what fixes it stays with it.
func found(name string, err error) Finding {
	f := Finding{Name: name, Level: Failure, Detail: err.Error()}
	if e, ok := AsError(err); ok {
		f.Hint, f.Act, f.About = e.Hint, e.Act, e.About
	}
	return f
}
