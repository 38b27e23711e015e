package console

import (
	"regexp"
	"strings"
	"testing"

	"ssobridge/idp"
	"ssobridge/web/admin"
)

var flag = regexp.MustCompile(`(^|[^-])--[a-z]|\bssobridge [a-z]+ `)

// Each act that the rules ask for has its words in the console, and most have a page; none says how it is done by
// command.
func TestEachActHasItsWords(t *testing.T) {
	texts, err := loadCatalogue("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range admin.Acts() {
		path, known := actPaths[act]
		if !known {
			t.Errorf("no page and no sentence for %s", act)
			continue
		}
		if p := path("https://sp.example/it?a=b"); p != "" && !strings.HasPrefix(p, "/admin/") {
			t.Errorf("%s leads to %s", act, p)
		}
		if text, err := texts.Word("act." + string(act)); err != nil || text == "" || flag.MatchString(text) {
			t.Errorf("the words of %s are %q", act, text)
		}
	}
	for _, act := range idp.Acts() {
		if ActPath(admin.Act(act), "") == "" || ActPath(admin.Act(act), "x") == "" {
			t.Errorf("%s, which a refusal can ask for, has no page", act)
		}
	}
	if len(actPaths) != len(admin.Acts()) {
		t.Errorf("%d ways for %d acts", len(actPaths), len(admin.Acts()))
	}
}
