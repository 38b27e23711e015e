package console

// actWords say how each act of an administrator is done in the console.
var actWords = map[string]string{
	"act.try-later":  "Try again later.",
	"act.look-again": "Look at it again, as it is now.",
	"act.run-check":  "See the state of the directory and of Constant Contact",

	"act.list-keys":         "See all keys and their states",
	"act.make-first-key":    "Make the first signing key",
	"act.roll-over-key":     "Roll over to a new key",
	"act.promote-other":     "Let another key sign for them first",
	"act.confirm-loaded":    "Enter who confirmed that the certificate is loaded, or schedule a time.",
	"act.agree-on-time":     "Agree on a time with the service provider, and schedule it.",
	"act.choose-label":      "Choose another label.",
	"act.configure-token":   "Set pkcs11.module, pkcs11.token_label and pkcs11.pin_file in the configuration",
	"act.make-metadata-key": "A key for the metadata is needed.",

	"act.say-for-whom": "Choose the service provider.",
	"act.name-key":     "Choose one of the keys",

	"act.list-providers":       "See all service providers",
	"act.add-constant-contact": "Register Constant Contact",
	"act.remove-provider":      "Remove this service provider",
	"act.replace-provider":     "Import its metadata: what is registered is replaced, its settings stay",
	"act.meant-provider":       "Did you mean {about}?",
	"act.preview-assertion":    "The preview on a person's page shows the NameID that the person would get",
	"act.import-again":         "Import its metadata, or give the address of it",
	"act.show-provider":        "See this service provider",
	"act.review-provider":      "Review the changes",
	"act.refresh-provider":     "Read its metadata again",
	"act.list-settings":        "The table of settings says what each can be set to. Nothing was changed.",
	"act.name-entity":          "Enter the entity ID of the one to register.",
	"act.safe-name-id":         "Set a NameID that people can't edit, with {person_id} in it",
	"act.stop-encryption":      "Import its metadata with the key, or set encryption to off",

	"act.ignore-end":        "Tick that its expiry date is ignored, or give the address of its metadata, which is refreshed.",
	"act.start-encryption":  "Set encryption to if-published.",
	"act.allow-cbc":         "Set allow_cbc to true and encryption to if-published.",
	"act.add-certificate":   "Add the certificate with which it signs to certificates.",
	"act.release-requested": "Tick that they are released, or add them to attributes.",

	"act.explain-person":   "Find the person, and see which mappings apply",
	"act.show-user":        "See the users at Constant Contact",
	"act.list-factors":     "Find the person, and see their second factors",
	"act.invite-to-factor": "Find the person, and invite them to set up a second factor",
	"act.release-name-id":  "Choose the service provider, and release the NameID",
	"act.plan-users":       "Create users by a plan",
	"act.adopt-users":      "Adopt users that exist at Constant Contact",
	"act.list-accounts":    "See the client accounts",
	"act.list-lockouts":    "See who is locked out",

	"act.list-plans":          "See the plans",
	"act.show-plan":           "Look at plan {about}",
	"act.wait-for-plan":       "Wait for plan {about}, or cancel it",
	"act.pause-plan":          "Wait for it, or pause it",
	"act.read-audit":          "See who did it in the audit log",
	"act.resume-provisioning": "See why provisioning is paused, and resume it",
	"act.list-users":          "See the users at Constant Contact",
	"act.list-tasks":          "See the manual tasks",
	"act.name-person-by-id":   "Use the person id that the audit log shows",
	"act.confirm-deleted":     "Delete the user at Constant Contact, then tick that you did.",
	"act.retry-request":       "Finish request {about} first",

	"act.list-mappings":        "See all mappings",
	"act.show-mapping-history": "See the history of all mappings",
	"act.remove-mapping":       "See mapping {about}",
	"act.give-group-base": "Write the group base: the DN below which groups count. Whoever may create groups there " +
		"chooses client accounts and roles.",

	"act.explain-login": "See groups, mappings and client accounts of {about}",
	"act.name-account":  "Choose one of the client accounts.",
}
