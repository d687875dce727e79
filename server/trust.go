package server

import (
	"slices"

	"portreeve/server/auth"
	"portreeve/server/vfs"
)

// trusts tells whether an account belongs to TrustedGID: it may leave its home,
// and rules on dot files, KeepAllFiles, ratios and quotas do not hold for it.
// Anonymous never does, whatever the group of its system user is.
func (c *Config) trusts(a *auth.Account) bool {
	if c.TrustedGID < 0 || c.ChrootEveryone || a.Anonymous {
		return false
	}
	return a.GID == c.TrustedGID || slices.Contains(a.Groups, c.TrustedGID)
}

// cages tells whether an account sees nothing above its home, but for its quota.
func (c *Config) cages(a *auth.Account) bool {
	return a.Caged || c.ChrootEveryone || c.TrustedGID >= 0 && !c.trusts(a)
}

// rules are what the configuration refuses to an account.
func (c *Config) rules(a *auth.Account) vfs.Rules {
	r := vfs.Rules{NoChmod: c.NoChmod, KeepOwner: c.CustomerProof}
	switch {
	case a.Anonymous: // which is the account of strangers
		r.NoDotWrite, r.NoDotRead, r.NotOwn = true, !c.AnonDotFiles, c.AntiWarez
		r.KeepFiles = c.KeepAllFiles
	case !c.trusts(a):
		r.NoDotWrite, r.NoDotRead = c.NoDotWrite || c.NoDotRead, c.NoDotRead
		r.KeepFiles = c.KeepAllFiles
	}
	return r
}
