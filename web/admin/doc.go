// Package admin is what an administrator can do, once: the console, the commands and the demo call it.
//
// There is one small type for each area, such as [Keys] and [Providers], with the parts that it needs as fields. Its
// functions check, act and write the audit event, and return values. What only the configuration knows is handed in as
// values and functions.
//
// An act that is refused returns an [Error]: the input at fault, what is wrong with it in a sentence, and the [Act]
// that fixes it. The rooms below keep their small typed errors; this is the one place that turns them into an Error.
// Any other error is a failure of ours, whose cause belongs in a log.
//
// Nothing here knows a page, an HTTP request or a terminal: no text of this package names a button, a flag or a
// command. Each face says in its own words how an Act is done.
//
// Most files are named after the area of the console that they serve. Those that serve all: act and error (what is
// said of a fault), turn (faults of the rooms below become an Error), scope (the client accounts that a caller may
// see), status and health* (how the bridge stands), finding, names, trace.
package admin
