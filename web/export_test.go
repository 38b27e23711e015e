package web

import "slices"

// OwnOfConsole are the routes that the console's own address serves beside the console.
func OwnOfConsole() []string { return slices.Clone(ownOfConsole) }
