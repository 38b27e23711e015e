package e2e_test

import "testing"

// pageTests are the tests that have axe look at pages.
var pageTests = map[string]func(*testing.T){
	"Accounts":        TestConsoleAccounts,
	"Audit":           TestConsoleAudit,
	"BaselessPattern": TestConsoleBaselessPattern,
	"Branding":        TestConsoleBranding,
	"ChangedData":     TestChangedDataIsAManualTask,
	"GroupBase":       TestConsoleGroupBase,
	"Host":            TestBrowserConsoleHost,
	"Keys":            TestConsoleKeys,
	"Language":        TestConsoleLanguage,
	"Mappings":        TestConsoleMappings,
	"NamedGroups":     TestConsoleNamedGroups,
	"Notices":         TestConsoleNotices,
	"Orders":          TestConsoleOrdersOfPeople,
	"Overview":        TestConsoleOverview,
	"Passkey":         TestBrowserPasskey,
	"People":          TestConsolePeople,
	"Providers":       TestConsoleProviders,
	"Provisioning":    TestConsoleProvisioning,
	"Search":          TestConsoleSearch,
	"Settings":        TestConsoleSettings,
	"SetUp":           TestConsoleSetUp,
	"TellsUsers":      TestConsoleTellsUsers,
	"Tokens":          TestConsoleTokens,
	"Trace":           TestConsoleTrace,
}

// TestAcceptancePages has axe look at every page of the console and of second factors as everybody may see it, where a
// commit's own run has some of these looks (row COST-72).
func TestAcceptancePages(t *testing.T) {
	t.Run("pages", func(t *testing.T) { // whose time is that of all of them
		for name, test := range pageTests {
			t.Run(name, test)
		}
	})
}
