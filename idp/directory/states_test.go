package directory_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ssobridge/idp/directory"
	"ssobridge/idp/directory/directorytest"
)

// foreignPerson has the login and the ids that the presets want.
func foreignPerson(extra map[string][]string) map[string][]string {
	a := map[string][]string{"uid": {"alice"}, "sAMAccountName": {"alice"}, "objectGUID": {guidA}, "GUID": {guidA},
		"entryUUID": {"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}, "ipaUniqueID": {"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		"nsUniqueId": {"6ba7b810-9dad11d1-80b400c0-4fd430c8"}}
	for k, v := range extra {
		a[k] = v
	}
	return a
}

// REAL-35: a refusal of a person's own bind by 53 or 50 is a closed account where the server answers so or the entry
// says so, and an outage that names the code everywhere else. It is never told as such to who shows no right password.
// gldap stands for 389 Directory Server, FreeIPA and eDirectory.
func TestREAL35RefusedBindOfAClosedAccount(t *testing.T) {
	locked := map[string][]string{"nsAccountLock": {"TRUE"}}
	for _, c := range []struct {
		preset string
		code   int
		diag   string
		extra  map[string][]string
		want   directory.Problem
	}{
		{"freeipa", 53, "Account inactivated. Contact system administrator.", nil, directory.Disabled},
		{"freeipa", 50, "", nil, directory.Disabled},
		{"389ds", 53, "Account inactivated. Contact system administrator.", nil, directory.Disabled},
		{"389ds", 50, "", locked, directory.Disabled},
		{"389ds", 53, "", map[string][]string{"passwordExpirationTime": {"20200101000000Z"}}, directory.PasswordExpired},
		{"389ds", 19, "Exceed password retry limit", nil, directory.Locked},
		{"389ds", 49, "", nil, directory.BadCredentials},
		{"389ds", 51, "", nil, directory.Unavailable},
		{"389ds", 52, "", locked, directory.Unavailable},
		{"389ds", 13, "", nil, directory.Unavailable},
		{"389ds", 8, "", nil, directory.Unavailable},
		{"389ds", 34, "", nil, directory.Unavailable},
		{"389ds", 1, "", nil, directory.Unavailable},
		{"freeipa", 48, "", nil, directory.BadCredentials},
		{"freeipa", 32, "", nil, directory.BadCredentials},
		{"edirectory", 53, "NDS error: log account expired (-220)", nil, directory.Disabled},
		{"edirectory", 53, "NDS error: bad login time (-218)", nil, directory.NotNow},
		{"edirectory", 53, "NDS error: login lockout (-197)", nil, directory.Locked},
		{"edirectory", 49, "NDS error: password expired (-222)", nil, directory.PasswordExpired},
		{"edirectory", 49, "NDS error: failed authentication (-669)", nil, directory.BadCredentials},
		{"edirectory", 50, "", nil, directory.Disabled},
		{"openldap", 53, "", nil, directory.Unavailable},
		{"openldap", 50, "", nil, directory.Unavailable},
		{"openldap", 53, "", locked, directory.Disabled},
		{"openldap", 50, "", map[string][]string{"pwdEndTime": {"20200101000000Z"}}, directory.Expired},
		{"lldap", 53, "", nil, directory.Unavailable},
		{"lldap", 50, "", locked, directory.Unavailable}, // it has no such attribute, and the preset does not ask for it
		{"active_directory", 53, "", nil, directory.Unavailable},
		{"active_directory", 53, "", map[string][]string{"userAccountControl": {"514"}}, directory.Disabled},
		{"samba", 50, "", nil, directory.Unavailable},
	} {
		t.Run(fmt.Sprintf("%s %d %s %v", c.preset, c.code, c.diag, c.extra), func(t *testing.T) {
			f := startFake(t)
			f.person("uid=alice,dc=fake", foreignPerson(c.extra))
			f.set(func() { f.code, f.diag = c.code, c.diag })
			d := open(t, f.options(c.preset))
			_, err := d.Authenticate(t.Context(), "alice", "not the right one")
			wantProblem(t, err, c.want)
			e, _ := errors.AsType[*directory.Error](err)
			if e == nil {
				t.Fatal("no error")
			}
			if e.Try == directory.Proved {
				t.Errorf("the password counts as right: %v", err)
			}
			if want := fmt.Sprintf("Code %d", c.code); !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not name the code: %v", err)
			}
			if c.want != directory.Unavailable && e.Try == directory.NotSent {
				t.Errorf("a guess of %v would not be counted", err)
			}
		})
	}
}

// REAL-36: attributes of an account's state, in all spellings, at a sign-in with the right password and at a reading.
func TestREAL36StateAttributes(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	set := func(name string, values ...string) map[string][]string { return map[string][]string{name: values} }
	for _, c := range []struct {
		preset string
		extra  map[string][]string
		want   directory.Problem
	}{
		{"freeipa", nil, ""},
		{"freeipa", set("nsAccountLock", "TRUE"), directory.Disabled},
		{"freeipa", set("nsaccountlock", "true"), directory.Disabled}, // a server's own spelling of the name
		{"freeipa", set("NSACCOUNTLOCK", "True"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "1"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "yes"), directory.Disabled},
		{"freeipa", set("nsAccountLock", " TRUE\u00a0"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "\ufeffTRUE\u200b"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "FALSE", "TRUE"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "what else"), directory.Disabled},
		{"freeipa", set("nsAccountLock", "FALSE"), ""},
		{"freeipa", set("nsAccountLock", "false "), ""},
		{"freeipa", set("nsAccountLock", "0"), ""},
		{"freeipa", set("nsAccountLock", "no"), ""},
		{"freeipa", set("nsAccountLock", " "), ""},
		{"freeipa", set("krbPasswordExpiration", "20261123115959Z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "20261123120001Z"), ""},
		{"freeipa", set("krbPasswordExpiration", "202611231200Z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "2026112312Z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "2026112313Z"), ""},
		{"freeipa", set("krbPasswordExpiration", "20261123120000.5Z"), ""},
		{"freeipa", set("krbPasswordExpiration", "20261123115959,9z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "20261123125959+0100"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "20261123130001+01"), ""},
		{"freeipa", set("krbPasswordExpiration", "20261123065959-0500"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "20261123070001-0500"), ""},
		{"freeipa", set("krbPasswordExpiration", "202611231130.5Z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "202611231200.5Z"), ""},
		{"freeipa", set("krbPasswordExpiration", "19700101000000Z"), directory.PasswordExpired},
		{"freeipa", set("krbPasswordExpiration", "20261323000000Z"), directory.PasswordExpired}, // no month: closed
		{"freeipa", set("krbPrincipalExpiration", "20200101000000Z"), directory.Expired},
		{"freeipa", map[string][]string{"krbPasswordExpiration": {"20200101000000Z"}, "nsAccountLock": {"TRUE"}},
			directory.Disabled},
		{"389ds", set("nsAccountLock", "true"), directory.Disabled},
		{"389ds", set("passwordExpirationTime", "19700101000000Z"), directory.PasswordExpired},
		{"389ds", set("krbPasswordExpiration", "20200101000000Z"), directory.PasswordExpired},
		{"389ds", set("accountUnlockTime", "20270101000000Z"), ""}, // passing: anybody can cause it
		{"edirectory", set("loginDisabled", "TRUE"), directory.Disabled},
		{"edirectory", set("loginExpirationTime", "20200101000000Z"), directory.Expired},
		{"edirectory", set("passwordExpirationTime", "20200101000000Z"), directory.PasswordExpired},
		{"edirectory", set("lockedByIntruder", "TRUE"), ""},
		{"openldap", set("nsAccountLock", "TRUE"), directory.Disabled},
		{"openldap", set("krbPasswordExpiration", "20200101000000Z"), ""}, // nobody named it
		{"lldap", nil, ""},
		{"samba", set("userAccountControl", "514"), directory.Disabled},
	} {
		t.Run(fmt.Sprintf("%s %v", c.preset, c.extra), func(t *testing.T) {
			f := startFake(t)
			f.person("uid=alice,dc=fake", foreignPerson(c.extra))
			o := f.options(c.preset)
			o.Now = func() time.Time { return now }
			checkState(t, o, c.want)
		})
	}
}

// REAL-37: which attributes those are is configured; what is named takes the place of the preset's.
func TestREAL37NamedStateAttributes(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		change func(*directory.Options)
		extra  map[string][]string
		want   directory.Problem
	}{
		{"a value", func(o *directory.Options) { o.DisabledAttributes = []string{"employeeType=left"} },
			map[string][]string{"employeeType": {"Left "}}, directory.Disabled},
		{"another value", func(o *directory.Options) { o.DisabledAttributes = []string{"employeeType=left"} },
			map[string][]string{"employeeType": {"staff"}}, ""},
		{"the preset's no more", func(o *directory.Options) { o.DisabledAttributes = []string{} },
			map[string][]string{"nsAccountLock": {"TRUE"}}, ""},
		{"shadowExpire", func(o *directory.Options) { o.AccountExpiryAttributes = []string{"shadowExpire"} },
			map[string][]string{"shadowExpire": {"19000"}}, directory.Expired},
		{"shadowExpire later", func(o *directory.Options) { o.AccountExpiryAttributes = []string{"shadowExpire"} },
			map[string][]string{"shadowExpire": {"99999"}}, ""},
		{"shadowExpire never", func(o *directory.Options) { o.AccountExpiryAttributes = []string{"SHADOWEXPIRE"} },
			map[string][]string{"shadowExpire": {"-1"}}, ""},
		{"sambaKickoffTime", func(o *directory.Options) { o.AccountExpiryAttributes = []string{"sambaKickoffTime"} },
			map[string][]string{"sambaKickoffTime": {"1712011200"}}, directory.Expired},
		{"a password that is over", func(o *directory.Options) { o.PasswordExpiryAttributes = []string{"myExpiry"} },
			map[string][]string{"myExpiry": {"20200101000000Z"}}, directory.PasswordExpired},
		{"what can't be read is over", func(o *directory.Options) { o.PasswordExpiryAttributes = []string{"myExpiry"} },
			map[string][]string{"myExpiry": {"next year"}}, directory.PasswordExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := startFake(t)
			f.person("uid=alice,dc=fake", foreignPerson(c.extra))
			o := f.options("openldap")
			o.Now = func() time.Time { return now }
			c.change(&o)
			checkState(t, o, c.want)
		})
	}
	for field, change := range map[string]func(*directory.Options){
		"disabled_attributes":        func(o *directory.Options) { o.DisabledAttributes = []string{"a b=c"} },
		"account_expiry_attributes":  func(o *directory.Options) { o.AccountExpiryAttributes = []string{"a=b"} },
		"password_expiry_attributes": func(o *directory.Options) { o.PasswordExpiryAttributes = []string{"userPassword"} },
	} {
		o := directory.Options{Preset: "openldap", URLs: []string{"ldaps://a"}, BaseDN: "dc=example,dc=test"}
		change(&o)
		if _, err := directory.New(o); !slices.Equal(fieldsOf(err), []string{field}) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// checkState expects a problem of alice in all ways in which an entry is read, and that a wrong password learns nothing
// of it.
func checkState(t *testing.T, o directory.Options, want directory.Problem) {
	t.Helper()
	d := open(t, o)
	_, err := d.Authenticate(t.Context(), "alice", "right")
	wantProblem(t, err, want)
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Try != directory.Proved {
		t.Errorf("the right password counts as a guess: %v", err)
	}
	_, err = d.Authenticate(t.Context(), "alice", "wrong")
	wantProblem(t, err, directory.BadCredentials)
	e, err := d.Find(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Problem; got != want && (want != "" || got != directory.Locked) {
		t.Errorf("Find: got %q, want %q", got, want)
	}
	if e, err = d.Read(t.Context(), e.ID); err != nil || e.Problem != want {
		t.Errorf("Read: got %q, %v; want %q", e.Problem, err, want)
	}
}

// REAL-35, REAL-38: the presets on a real server that has the attributes of 389 Directory Server, FreeIPA and
// eDirectory: ids, groups, and an account that is closed while its session lives. slapd stands for those servers.
func TestREAL38PresetsOnARealServer(t *testing.T) {
	s := directorytest.StartSlapdWith(t, directorytest.SlapdOptions{Foreign: true})
	foreign := func(dn, id string) {
		s.Apply(t, fmt.Sprintf("dn: %s\nchangetype: modify\nadd: objectClass\nobjectClass: foreignEntry\n-\n"+
			"add: ipaUniqueID\nipaUniqueID: %s\n-\nadd: nsUniqueId\nnsUniqueId: %s\n-\nadd: GUID\nGUID:: %s\n\n", dn,
			"6ba7b810-9dad-11d1-80b4-00c04fd4"+id, "6ba7b810-9dad11d1-80b400c0-4fd4"+id,
			base64.StdEncoding.EncodeToString([]byte("\xff\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"+id[:2]))))
	}
	foreign(s.PersonDN("bob"), "30c8")
	for i, g := range []string{"sales", "staff", "ring-a", "ring-b", "ring-c", "everybody"} {
		foreign(s.GroupDN(g), fmt.Sprintf("%02d00", i+40))
	}
	for preset, id := range map[string]string{
		"freeipa":    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"389ds":      "6ba7b810-9dad11d1-80b400c0-4fd430c8",
		"edirectory": "ff020304-0506-0708-090a-0b0c0d0e3330",
	} {
		t.Run(preset, func(t *testing.T) {
			o := s.Options()
			o.Preset = preset
			d := open(t, o)
			e, err := d.Authenticate(t.Context(), "bob", directorytest.Password)
			if err != nil {
				t.Fatal(err)
			}
			if e.ID != id {
				t.Errorf("got the id %q, want %q", e.ID, id)
			}
			wantGroups(t, e.Groups, "everybody", "ring-a", "sales")
			g := groupNamed(t, e.Groups, "sales")
			if again, err := d.GroupByID(t.Context(), g.ID); g.ID == "" || err != nil || !directory.SameDN(again.DN, g.DN) {
				t.Errorf("group by id %q: %+v, %v", g.ID, again, err)
			}
			walked := 0
			_, err = d.Walk(t.Context(), directory.WalkOptions{}, func(p directory.Entry) error {
				if walked++; p.ID != e.ID {
					t.Errorf("the walk met %q", p.ID)
				}
				return nil
			})
			if err != nil || walked != 1 {
				t.Errorf("a walk met %d people with an id, %v", walked, err)
			}
			closing := map[string]string{"edirectory": "loginDisabled"}[preset]
			if closing == "" {
				closing = "nsAccountLock"
			}
			s.Apply(t, modify(s.PersonDN("bob"), "add", closing, "TRUE"))
			if e, err := d.Read(t.Context(), id); err != nil || e.Problem != directory.Disabled {
				t.Errorf("Read: %q, %v", e.Problem, err)
			}
			_, err = d.Authenticate(t.Context(), "bob", directorytest.Password)
			wantProblem(t, err, directory.Disabled)
			s.Apply(t, modify(s.PersonDN("bob"), "delete", closing))
			if _, err = d.Authenticate(t.Context(), "bob", directorytest.Password); err != nil {
				t.Error("opened again:", err)
			}
		})
	}
	o := s.Options()
	o.Preset = "lldap"
	e, err := open(t, o).Authenticate(t.Context(), "bob", directorytest.Password)
	if err != nil || len(e.ID) != 36 {
		t.Errorf("lldap: %+v, %v", e, err)
	}
}
