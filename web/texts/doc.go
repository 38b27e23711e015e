// Package texts reads the catalogues of what people read: files of one language and one area each, that translators
// edit without knowing Go.
//
// A file is named AREA.LANGUAGE.json, such as pages.fr-CA.json, and is one flat JSON object of keys and messages. A
// message is written in the part of ICU MessageFormat that translators' tools know best:
//
//	{name}                                        a value
//	{count, number}                               a whole number with its thousands apart
//	{count, plural, one {# call} other {# calls}} forms by the plural words of CLDR, "=0" and the like for exact values
//	'{name}'                                      braces that stay as they are; '' is an apostrophe
//
// An entry "@key" with a "description" says to translators what they can't see in the message itself. It is shown to
// nobody else.
//
// The package knows neither pages nor HTTP: who shows a message escapes it. It is also the one place that reads what
// language a browser prefers.
package texts
