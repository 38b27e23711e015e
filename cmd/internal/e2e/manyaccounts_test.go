package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory/directorytest"
	"ssobridge/partnerapi/sandbox"
)

const manyAccounts = 3000

// cpu is the processor time that the bridge's process has used, by the kernel's count.
func (w *world) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc to read processor time from:", err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(after)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}

// COST-57: a person whom a pattern gives 3,000 client accounts chooses one by page and search, is looked at in the
// console, and is explained by command, each in answers of at most 100 KB; an account that is somebody else's is
// refused whatever the form says.
func TestThousandsOfAccounts(t *testing.T) {
	t.Parallel()
	slapd := directorytest.StartSlapd(t)
	var ldif strings.Builder
	var accounts []sandbox.Account
	id := func(i int) string { return fmt.Sprintf("a07emany%04d", i) }
	for i := range manyAccounts {
		fmt.Fprintf(&ldif, "dn: %s\nchangetype: add\nobjectClass: groupOfNames\ncn: many-%s\nmember: %s\n\n",
			slapd.GroupDN("many-"+id(i)), id(i), slapd.PersonDN("carol"))
		accounts = append(accounts, sandbox.Account{ID: id(i), OrganizationName: fmt.Sprintf("Client <b>%04d</b>", i)})
	}
	const foreign = "a07eforeign1"
	accounts = append(accounts, sandbox.Account{ID: foreign, OrganizationName: "Of somebody else"})
	slapd.Apply(t, ldif.String())
	w := newWorld(t, setting{
		directory: slapdSettings(slapd), sandbox: sandbox.Options{Accounts: accounts}, quick: true,
		set: map[string]string{
			"directory.max_groups": "5000", "console.admin_group": slapd.GroupDN("ring-a"),
			"console.viewer_group":  slapd.GroupDN("emea"),
			"second_factor.console": "off",
		},
		mappings: [][]string{{"--group-pattern", "many-{account}", "--role", "account_manager", "--create", "at-sign-in"}},
	})
	measured := func(name string, p *page) *page {
		t.Helper()
		if len(p.Body) > 100<<10 {
			t.Errorf("%s: %d bytes, want at most 100 KB", name, len(p.Body))
		}
		if strings.Contains(p.Body, "<b>0") {
			t.Errorf("%s: the name of an account is markup", name)
		}
		return p
	}
	// Processor time is noted, not judged: other tests run beside this one.
	costs := func(name string, do func()) {
		t.Helper()
		const times = 10
		do()
		before := w.cpu(t)
		for range times {
			do()
		}
		t.Logf("%s: %v of processor time each", name, (w.cpu(t)-before)/times)
	}

	c := newClient(t)
	choice := measured("chooser", c.login(c.get(w.launch("")), "carol", password).status(http.StatusOK))
	choice.says("1 to 25 of 3,000 accounts.")
	own := regexp.MustCompile(`name="s" value="([^"]+)"`).FindStringSubmatch(choice.Body)[1]
	find := w.url + "/login?s=" + url.QueryEscape(own) + "&find="
	costs("chooser", func() { measured("chooser", c.get(find)) })
	costs("chooser, search",
		func() { measured("search", c.get(find+"2345").status(http.StatusOK).says("1 to 1 of 1 account.")) })
	found := c.get(find + "2345")
	c.submit(found, "account", "account", foreign).status(http.StatusForbidden)
	c.deliver(c.goOn(c.submit(c.get(find+"2345"), "account", "account", id(2345)))).says(id(2345))

	a := w.enter(t, consoleOperator)
	who := regexp.MustCompile(`href="(/admin/people/of/[^"]+)"`).FindStringSubmatch(a.get(w.url +
		"/admin/people?find=carol").Body)
	if who == nil {
		t.Fatal("carol is not found in the console")
	}
	person := w.url + who[1]
	costs("person page", func() { measured("person page", a.get(person).status(http.StatusOK)) })
	a.get(person).says("1 to 25 of 3,000.", "created at the first sign-in")
	costs("person page, search",
		func() { measured("person page, search", a.get(person+"?find=MANY2345").status(http.StatusOK)) })
	if p := a.get(person + "?find=many2345").says("active"); !strings.Contains(p.Body, id(2345)) {
		t.Errorf("the one that was searched for is not shown:\n%s", p.text())
	}
	for _, query := range []string{
		"access=121&hits=121&groups=121&former=9", "tab=groups&hits=121", "tab=groups&find=MANY2345", "access=-1",
		"access=" + strings.Repeat("9", 300), "find=" + strings.Repeat("x", 10<<10),
		"find=" + url.QueryEscape(`"><script>alert(1)</script>`),
	} {
		if p := measured(query, a.get(person+"?"+query).status(http.StatusOK)); strings.Contains(p.Body, "<script>alert") {
			t.Errorf("%.40s: the query is markup", query)
		}
	}

	for name, args := range map[string][]string{
		"explain": {}, "explain --json": {"--json"}, "explain --account": {"--account", id(77)},
	} {
		out := w.command(t, append([]string{"explain", "--user", "carol"}, args...)...)
		if len(out) > 100<<10 {
			t.Errorf("%s: %d bytes, want at most 100 KB", name, len(out))
		}
	}
	if out := w.command(t, "provision", "plan"); !strings.Contains(out, "2999 more are left to the first sign-in") ||
		!strings.Contains(out, " 0 to be created") {
		t.Errorf("a plan:\n%s", out)
	}
}
