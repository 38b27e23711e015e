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
	Name   string `json:"name"` // of what was looked at
	Level  Level  `json:"level"`
	Detail string `json:"detail,omitempty"` // what was found, in a sentence without its full stop; "" where name and level say it
	Hint   string `json:"hint,omitempty"`   // what to do, the same for every face; "": Act says it
	Act    Act    `json:"act,omitempty"`
	About  string `json:"about,omitempty"` // what the act is about
	Part   Part   `json:"-"`               // of the health snapshot, where it is another than its check's

	err error
}

// found makes the Finding of an error: its fault is the detail, and what fixes it stays with it. The chain of any other
// error is for the log and the terminal, by Cause.
func found(name string, err error) Finding {
	f := Finding{Name: name, Level: Failure, err: err}
	if e, ok := AsError(err); ok {
		f.Detail, f.Hint, f.Act, f.About = e.Text(), e.Hint, e.Act, e.About
	}
	return f
}
