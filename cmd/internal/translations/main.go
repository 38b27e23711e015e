// Command translations lists what translators still have to do: make translations.
//
// Each folder that it is given holds catalogues as web/texts reads them. English is the original. For every other
// language of a folder, or the one that is named by -language, it prints what is missing, what has other values than
// the original, and what is left over, each with the English text and the description for translators.
//
// Exit codes: 0 nothing is left to do, 1 something is, or a file can't be read, 2 bad input.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"ssobridge/web/texts"
)

// original is the language that all others are translated from.
const original = "en"

// errLeft is the outcome where something is left to do; it has been printed.
var errLeft = errors.New("translations are not complete")

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, errLeft):
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "translations: error:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("translations", flag.ContinueOnError)
	flags.SetOutput(stderr)
	lang := flags.String("language", "", "only this language, which may be one that has no file yet")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		fmt.Fprintln(stderr, "usage: translations [-language TAG] FOLDER...")
		return errors.Join(err, flag.ErrHelp)
	}
	left := false
	for _, folder := range flags.Args() {
		todo, err := list(stdout, folder, *lang)
		if err != nil {
			return err
		}
		left = left || todo
	}
	if left {
		return errLeft
	}
	return nil
}

// list prints what is left to do in one folder.
func list(to io.Writer, folder, only string) (left bool, err error) {
	files := os.DirFS(folder)
	languages, err := texts.Languages(files)
	if err != nil {
		return false, fmt.Errorf("look for catalogues in %s: %w", folder, err)
	}
	first, err := texts.Read(files, original)
	if err != nil || len(first) == 0 {
		return false, fmt.Errorf("read the English catalogue in %s: %d texts: %w", folder, len(first), err)
	}
	if only != "" {
		languages = []string{only}
	}
	for _, lang := range slices.DeleteFunc(languages, func(l string) bool { return l == original }) {
		translated, err := texts.Read(files, lang)
		if err != nil {
			return false, fmt.Errorf("read the catalogue in %s: %w", folder, err)
		}
		todo := texts.Compare(first, translated)
		fmt.Fprintf(to, "%s, %s: %d of %d texts need work\n", folder, lang, len(todo), len(first))
		for _, d := range todo {
			fmt.Fprintf(to, "  %s (%s): %s\n    %s\n", d.Key, d.File, d.Fault, d.Text)
			if d.Description != "" {
				fmt.Fprintf(to, "    note: %s\n", d.Description)
			}
		}
		left = left || len(todo) > 0
	}
	return left, nil
}
