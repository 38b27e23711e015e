package mapping

// InputError says which field of an input is at fault, how, and what would fix it. It is written for the administrator
// who gave the input, in the words of the input: it names no flag, button or command.
type InputError struct {
	Field string
	Fault string
	Fix   string
}

// Error names field and fault; Fix is for a hint beside it.
func (e *InputError) Error() string { return e.Field + ": " + e.Fault }
