package cert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/acme"
)

// The two ways to show that a name is ours: a file on a web server (RFC 8555,
// section 8.3), or a certificate in a handshake of its own protocol (RFC 8737).
const (
	http01    = "http-01"
	tlsALPN01 = "tls-alpn-01"
)

// obtain gets a certificate for names. What one way does not achieve, the other
// may: a port may be closed to the world, or be another server's.
func (a ACME) obtain(ctx context.Context, names []string) (certText, keyText []byte, err error) {
	if err := a.makeHome(); err != nil {
		return nil, nil, err
	}
	account, err := a.accountKey()
	if err != nil {
		return nil, nil, err
	}
	client := &acme.Client{Key: account, HTTPClient: a.Client, DirectoryURL: a.Directory, UserAgent: "portreeve"}
	contact := &acme.Account{}
	if a.Mail != "" {
		contact.Contact = []string{"mailto:" + a.Mail}
	}
	// An account that is there already is found by its key (RFC 8555, section 7.3.1).
	if _, err := client.Register(ctx, contact, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, nil, fmt.Errorf("registering with the authority: %w", err)
	}
	var faults []error
	for _, way := range []struct {
		kind  string
		addrs []string
	}{{tlsALPN01, a.TLS}, {http01, a.HTTP}} {
		if len(way.addrs) == 0 {
			continue
		}
		certText, keyText, err = order(ctx, client, way.kind, way.addrs, names)
		if err == nil {
			return certText, keyText, nil
		}
		faults = append(faults, fmt.Errorf("by %s: %w", way.kind, err))
		if !mayHelp(err) {
			break
		}
	}
	return nil, nil, errors.Join(faults...)
}

// mayHelp tells whether the other way is worth a try: whether it was this one that
// failed, and not the order.
func mayHelp(err error) bool {
	_, refused := errors.AsType[*acme.AuthorizationError](err)
	_, local := errors.AsType[*net.OpError](err)
	return refused || local || errors.Is(err, errNotOffered)
}

var errNotOffered = errors.New("the authority does not offer it")

// order goes through the steps of RFC 8555, section 7.1, once.
func order(ctx context.Context, client *acme.Client, kind string, addrs, names []string) (certText, keyText []byte, err error) {
	o, err := client.AuthorizeOrder(ctx, acme.DomainIDs(names...))
	if err != nil {
		return nil, nil, fmt.Errorf("ordering: %w", err)
	}
	answers, err := listenForChallenges(ctx, kind, addrs)
	if err != nil {
		return nil, nil, err
	}
	defer answers.close()
	for _, authorization := range o.AuthzURLs {
		if err := fulfil(ctx, client, kind, authorization, answers); err != nil {
			return nil, nil, err
		}
	}
	if o.Status == acme.StatusPending {
		if o, err = client.WaitOrder(ctx, o.URI); err != nil {
			return nil, nil, fmt.Errorf("waiting for the order: %w", err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("making the request: %w", err)
	}
	chain, _, err := client.CreateCertFromOrder(ctx, o, request, true)
	if err != nil {
		return nil, nil, fmt.Errorf("fetching the certificate: %w", err)
	}
	keyText, err = encodeKey(key)
	return encodeChain(chain), keyText, err
}

// fulfil shows the authority that a name is ours.
func fulfil(ctx context.Context, client *acme.Client, kind, authorization string, answers *answers) error {
	authz, err := client.GetAuthorization(ctx, authorization)
	if err != nil {
		return fmt.Errorf("asking what is to be shown: %w", err)
	}
	if authz.Status == acme.StatusValid { // it remembers from the last time
		return nil
	}
	name := authz.Identifier.Value
	i := slices.IndexFunc(authz.Challenges, func(c *acme.Challenge) bool { return c.Type == kind })
	if i < 0 {
		return fmt.Errorf("showing that %s is ours: %w", name, errNotOffered)
	}
	challenge := authz.Challenges[i]
	if err := answers.add(client, name, challenge.Token); err != nil {
		return fmt.Errorf("answering for %s: %w", name, err)
	}
	if _, err := client.Accept(ctx, challenge); err != nil {
		return fmt.Errorf("showing that %s is ours: %w", name, err)
	}
	if _, err := client.WaitAuthorization(ctx, authz.URI); err != nil {
		return fmt.Errorf("showing that %s is ours: %w", name, err)
	}
	return nil
}

// accountKey returns the key by which the authority knows us, and makes it at the
// first time.
func (a ACME) accountKey() (crypto.Signer, error) {
	name := filepath.Join(a.home(), "account.key")
	text, _, err := readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making the account's key: %w", err)
		}
		text, err := encodeKey(key)
		if err == nil {
			err = writeFile(name, text, false)
		}
		if err != nil {
			return nil, fmt.Errorf("writing the account's key: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the account's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no key; without it a new account is made", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the account's key %s: %w", name, err)
	}
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("reading the account's key %s: it is not ECDSA", name)
	}
	return signer, nil
}
